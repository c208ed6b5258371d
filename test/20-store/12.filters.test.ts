/** Filtered searches against a model, while everything that can happen to keys and attributes happens. */
import { describe, expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { Collection } from "../../src/engine/collection.ts";
import { expressionOf } from "../../src/engine/filter/expressions.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { distanceTo } from "../../src/engine/index/distance.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { MmapVectorStore } from "../../src/index.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const DIMENSIONS = 6;
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

const FILTERS = [
  ".n < 30",
  ".n >= 30 and .n < 60 and .ok",
  ".color == 'red' or .color == 'blue'",
  "not (.color == 'red') and .n % 2 == 0",
  ".color in ['green', 'red', 7]",
  "'a' in .tags and .o.deep > 1",
  ".tags? == null",
  ".unique == 'u5' or .unique == 'u17'",
  ".n + .o.deep > 50",
  ".long == .color or .price > 0.9",
  ".price < 0.01",
  ".gone",
  "1",
];

interface Entry {
  vector: Float32Array;
  attributes: object | undefined;
  deadline: number;
}

class Model {
  readonly entries = new Map<string, Entry>();
  readonly random: () => number;
  collection!: Collection;
  readonly directory = temporaryDirectory();
  /** Results that searches should have had, and those of them that they had. */
  wanted = 0;
  found = 0;

  constructor(random: () => number) {
    this.random = random;
  }

  async open(): Promise<void> {
    this.collection = await Collection.open(this.directory, (message) => expect.fail(message), testIndex);
  }

  below(n: number): number {
    return Math.floor(this.random() * n);
  }

  attributes(): string | undefined {
    const { random } = this;
    if (random() < 0.1) return undefined;
    const color = ["red", "green", "blue", null][this.below(4)];
    const tags = ["a", "b", "c", 1].filter(() => random() < 0.5);
    return JSON.stringify({
      n: this.below(100),
      ok: random() < 0.5,
      color,
      price: random(),
      unique: `u${this.below(400)}`,
      ...(random() < 0.7 && { tags }),
      ...(random() < 0.7 && { o: { deep: this.below(5), other: {} } }),
      ...(random() < 0.1 && { long: random() < 0.5 ? "x".repeat(400) : color }),
    });
  }

  insert(key: string, deadline = 0): void {
    const vector = randomVector(this.random, DIMENSIONS);
    const previous = this.entries.get(key);
    // Whether a key that expires is there still, and its attributes are kept, is the clock's to say.
    const attributes = this.attributes() ?? (previous?.deadline ? "" : undefined);
    this.collection.insert(Buffer.from(key), vector, { attributes, deadline });
    const kept = attributes === undefined ? previous?.attributes : parsed(attributes);
    this.entries.set(key, { vector, attributes: kept, deadline });
  }

  /** Something random to a random key. */
  change(keys: number): void {
    const key = `key ${this.below(keys)}`;
    const what = this.random();
    if (what < 0.5) {
      this.insert(key, this.random() < 0.1 ? Date.now() + this.below(100) : 0);
    } else if (what < 0.75) {
      this.collection.delete([Buffer.from(key)]);
      this.entries.delete(key);
    } else {
      const attributes = this.attributes();
      const entry = this.entries.get(key);
      const isThere = entry !== undefined && (entry.deadline === 0 || entry.deadline > Date.now());
      const isSet = this.collection.setAttributes(Buffer.from(key), attributes ?? "");
      // Between the two looks at the clock the key may expire.
      if (isSet && entry) entry.attributes = parsed(attributes);
      else if (isThere) expect(entry.deadline).not.toBe(0);
    }
  }

  matching(filter: string, now: number): [string, Entry][] {
    const expression = expressionOf(filter);
    return [...this.entries].filter(
      ([, { attributes, deadline }]) =>
        (deadline === 0 || deadline > now) && attributes !== undefined && expression.matches(attributes),
    );
  }

  /** Compares a search that looks at everything, and one that asks the index, with what there is. */
  async check(filter: string): Promise<void> {
    const query = randomVector(this.random, DIMENSIONS);
    const k = 1 + this.below(20);
    for (const exact of [true, false]) {
      const before = this.matching(filter, Date.now()).length;
      const hits = await this.collection.search(query, { k, exact, filter });
      const matching = this.matching(filter, Date.now());
      if (matching.length !== before) continue; // Some expired meanwhile.
      const nearest = nearestOf(query, matching, k);
      const found = hits.map(({ key }) => text(key));
      expect(found, filter).toHaveLength(nearest.length);
      const names = new Set(matching.map(([key]) => key));
      expect(found.filter((key) => !names.has(key))).toEqual([]);
      if (exact) expect(found).toEqual(nearest);
      this.wanted += nearest.length;
      this.found += nearest.filter((key) => found.includes(key)).length;
    }
  }

  async checkAll(): Promise<void> {
    for (const filter of FILTERS) await this.check(filter);
  }
}

const parsed = (text: string | undefined): object | undefined => (text ? JSON.parse(text) : undefined);

function nearestOf(query: Float32Array, entries: [string, Entry][], k: number): string[] {
  const distance = distanceTo(query, "L2");
  return entries
    .map(([key, { vector }]): [string, number] => [key, distance(vector, 0)])
    .sort((a, b) => a[1] - b[1])
    .slice(0, k)
    .map(([key]) => key);
}

async function newModel(): Promise<Model> {
  const model = new Model(generator(testSeed()));
  await createFiles(model.directory, "c", resolveOptions({ dimensions: DIMENSIONS, metric: "L2" }), "0-0");
  await model.open();
  return model;
}

test("a filtered search finds what a model finds, through writes, compaction and reopening", async () => {
  const model = await newModel();
  for (let i = 0; i < 1_500; i++) model.insert(`key ${i}`);
  await model.checkAll();
  await model.collection.build();
  await model.checkAll();
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 300; i++) {
      model.change(1_500);
      if (i % 10 === 0) await model.check(FILTERS[model.below(FILTERS.length)]!);
    }
    const compaction = round % 2 === 0 ? model.collection.compact() : Promise.resolve();
    await model.checkAll();
    await compaction;
    await model.checkAll();
    await model.collection.close();
    await model.open();
    await model.checkAll();
  }
  expect(model.found / model.wanted).toBeGreaterThanOrEqual(0.99);
  await model.collection.close();
});

test("searches with the same filter and others at the same time, while writes come in between", async () => {
  const model = await newModel();
  for (let i = 0; i < 3_000; i++) model.insert(`key ${i}`);
  await model.collection.build();
  const query = randomVector(model.random, DIMENSIONS);
  const isRed = (attributes: object | undefined) => expressionOf(".color == 'red'").matches(attributes ?? {});
  for (let round = 0; round < 20; round++) {
    const searches = Array.from({ length: 20 }, (_, i) =>
      model.collection.search(query, {
        k: 10,
        filter: i % 2 === 0 ? ".color == 'red'" : FILTERS[i % FILTERS.length],
      }),
    );
    for (let i = 0; i < 200; i++) model.insert(`key ${model.below(3_000)}`);
    for (const [i, hits] of (await Promise.all(searches)).entries()) {
      if (i % 2 === 0) expect(hits).toHaveLength(10);
    }
    const hits = await model.collection.search(query, { k: 10, filter: ".color == 'red'" });
    for (const { key } of hits) expect(isRed(model.entries.get(text(key))!.attributes)).toBe(true);
  }
  await model.collection.close();
});

describe("the library", () => {
  test("takes a filter and attributes", async () => {
    const store = await MmapVectorStore.open(temporaryDirectory(), { dimensions: 2 }, undefined, testIndex);
    store.insert("a", new Float32Array([1, 0]), { attributes: '{"year":1984,"author":{"country":"PT"}}' });
    store.insert("b", new Float32Array([1, 0.1]), { attributes: '{"year":2001}' });
    store.insert("c", new Float32Array([1, 0.2]));
    store.insert("d", new Float32Array([1, 0.3]), { attributes: "{}" });
    const keys = async (filter: string) =>
      (await store.search(new Float32Array([1, 0]), { k: 10, filter })).map(({ key }) => key);
    expect(await keys(".year > 1990")).toEqual(["b"]);
    expect(await keys(".author.country == 'PT'")).toEqual(["a"]);
    expect(await keys(".missing? == null")).toEqual(["a", "b", "d"]);
    expect(await keys("1")).toEqual(["a", "b", "d"]);
    await expect(keys(".year >")).rejects.toThrow("syntax error in FILTER expression at position 7");
    await store.close();
  });
});
