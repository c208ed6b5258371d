/**
 * A store that is written, deleted from, indexed, checkpointed and opened again in random order, beside a plain list of
 * what it has to hold: filters, pages, DISTINCT and distances within a limit, over attributes of the odd kind.
 */
import { expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { expressionOf } from "../../src/engine/filter/expressions.ts";
import { MmapVectorStore, type SearchOptions } from "../../src/index.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const DIMENSIONS = 8;
const KEYS = 600;
const STEPS = 400;
const random = generator(testSeed());
const upTo = (n: number) => Math.floor(random() * n);
const pick = <T>(from: readonly T[]): T => from[upTo(from.length)]!;

const VALUES = [
  ...["0", "-0", "1e308", "-1e308", "1e-320", "0.1", "255", "256", "true", "false", "null", "[]", "{}"],
  ...['""', '"NaN"', '"nan"', '"inf"', '"1e999"', '"-0"', '" 7"', '"7 "', '"0x7"', '"é"', '"e\\u0301"'],
  ...[
    '"\\ud83d\\ude00"',
    '"\\ud800"',
    '"\\u0000"',
    '"a\\"b"',
    '[1,"a",null]',
    "[[1]]",
    '[{"a":1}]',
    '{"b":7}',
  ],
  ...['{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":7}}}}}}}}', '{"b":[7]}', '{"b":{"c":"7"}}'],
  ...[JSON.stringify("long".repeat(80)), JSON.stringify(Array.from({ length: 3_000 }, (_, i) => i))],
];
const NAMES = ["a", "n", "word", "__proto__", "constructor", "x-y", "9"];
const FIELDS = [...NAMES, "a.b", "a.b.c", "a.b.c.d.e.f.g.h.i", "n.b", "constructor.name", "a.length"];
const CONSTANTS = ["0", "7", "1e308", "-1", "0.1", '"7"', '"NaN"', '"é"', '"\\ud800"', "null", '"w3"', '""'];
const OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "in", "+", "*", "%", "**", "-"];
const TUPLES = ['[1, "a"]', "[]", '["w1", "w2", 7]', '["\\u0000", 0, 255]'];

function randomAttributes(): string {
  const plain = [`"n":${upTo(300)}`, `"word":"w${upTo(5)}"`, `"r":${random()}`];
  const odd = Array.from({ length: upTo(4) }, () => `${JSON.stringify(pick(NAMES))}:${pick(VALUES)}`);
  return random() < 0.1 ? "" : `{${[...plain.slice(upTo(3)), ...odd].join(",")}}`;
}

function term(): string {
  const field = () => `.${pick(FIELDS)}${random() < 0.6 ? "?" : ""}`;
  const kind = upTo(6);
  if (kind === 0) return `.n? < ${upTo(300)}`;
  if (kind === 1) return `.word? == "w${upTo(5)}"`;
  if (kind === 2) return `${field()} in ${pick(TUPLES)}`;
  if (kind === 3) return `${pick(CONSTANTS)} in ${field()}`;
  return kind === 4 ? field() : `${field()} ${pick(OPERATORS)} ${random() < 0.3 ? field() : pick(CONSTANTS)}`;
}

function randomFilter(): string {
  const terms = Array.from({ length: 1 + upTo(3) }, () => `${random() < 0.2 ? "not " : ""}(${term()})`);
  return terms.reduce((all, next) => `(${all}) ${pick(["and", "or", "&&", "||"])} ${next}`);
}

interface Entry {
  vector: Float32Array;
  text: string;
}

const distanceOf = (a: Float32Array, b: Float32Array) => Math.hypot(...a.map((each, i) => each - b[i]!));

class Modelled {
  readonly #directory = temporaryDirectory();
  readonly #held = new Map<string, Entry>();
  #building: Promise<void> = Promise.resolve();
  #store!: MmapVectorStore;

  async open(): Promise<this> {
    const options = { dimensions: DIMENSIONS, metric: "L2" } as const;
    this.#store = await MmapVectorStore.open(this.#directory, options, undefined, testIndex);
    return this;
  }

  async close(): Promise<void> {
    await this.#building;
    await this.#store.close();
  }

  async step(): Promise<void> {
    const chance = random();
    if (chance < 0.02) {
      await this.close();
      await this.open();
    } else if (chance < 0.04) {
      this.#building = this.#store.buildIndex();
    } else if (chance < 0.05) {
      await this.#store.checkpoint();
    } else if (chance < 0.07) {
      await this.#deleteSome();
    } else if (chance < 0.6) {
      this.#write();
    } else {
      await this.#ask();
    }
  }

  #write(): void {
    const key = `k${upTo(KEYS)}`;
    const entry = this.#held.get(key);
    const chance = random();
    const text = randomAttributes();
    if (chance < 0.2) {
      expect(this.#store.delete(key)).toBe(this.#held.delete(key));
    } else if (chance < 0.5 && entry !== undefined) {
      this.#store.setAttributes(key, text);
      entry.text = text;
    } else {
      this.#insert(Array.from({ length: 1 + upTo(40) }, () => `k${upTo(KEYS)}`));
    }
  }

  #insert(names: string[]): void {
    const keys = [...new Set(names)];
    const vectors = keys.map(() => randomVector(random, DIMENSIONS));
    const texts = random() < 0.2 ? undefined : keys.map(randomAttributes);
    this.#store.insertBatch(keys, Float32Array.from(vectors.flatMap((each) => [...each])), texts);
    for (const [i, key] of keys.entries()) {
      this.#held.set(key, { vector: vectors[i]!, text: texts?.[i] ?? this.#held.get(key)?.text ?? "" });
    }
  }

  async #deleteSome(): Promise<void> {
    const filter = `(${randomFilter()}) and .n? < 40`;
    const keys = this.#matching(filter).map(([key]) => key);
    expect([filter, await this.#store.deleteMatching(filter)]).toEqual([filter, keys.length]);
    for (const key of keys) this.#held.delete(key);
  }

  #matching(filter: string | undefined): [string, Entry][] {
    const expression = filter === undefined ? undefined : expressionOf(filter);
    const matches = ({ text }: Entry) => text !== "" && expression?.matches(JSON.parse(text) as object);
    return [...this.#held].filter(([, entry]) => expression === undefined || matches(entry));
  }

  async #ask(): Promise<void> {
    const filter = random() < 0.05 ? undefined : randomFilter();
    const query = randomVector(random, DIMENSIONS);
    const per = random() < 0.3 ? 1 + upTo(3) : undefined;
    const options: SearchOptions = {
      k: 1 + upTo(20),
      exact: random() < 0.5,
      ...(filter !== undefined && { filter }),
      ...(random() < 0.3 && { offset: upTo(30) }),
      ...(random() < 0.2 && { within: 1.5 + random() }),
      ...(per !== undefined && { distinct: { field: "word", per } }),
    };
    const expected = this.#expected(query, options);
    const asked = random() < 0.5 ? this.#store.search(query, options) : this.#many(query, options);
    const found = await asked;
    const said = JSON.stringify(options);
    expect([said, found.length]).toEqual([said, expected.length]);
    if (options.exact) expect([said, found.map(({ key }) => key)]).toEqual([said, expected]);
    const allowed = new Set(this.#matching(filter).map(([key]) => key));
    expect([said, found.filter(({ key }) => !allowed.has(key))]).toEqual([said, []]);
    if (filter !== undefined) {
      expect([filter, await this.#store.count(filter)]).toEqual([filter, allowed.size]);
    }
  }

  async #many(query: Float32Array, options: SearchOptions) {
    const [first, second] = await this.#store.searchMany(Float32Array.of(...query, ...query), options);
    expect(second).toEqual(first);
    return first!;
  }

  #expected(query: Float32Array, { k, filter, offset = 0, within, distinct }: SearchOptions): string[] {
    const counts = new Map<unknown, number>();
    return this.#matching(filter)
      .map(([key, { vector, text }]) => ({ key, text, distance: distanceOf(query, vector) }))
      .filter(({ distance }) => within === undefined || distance <= within)
      .sort((a, b) => a.distance - b.distance)
      .filter(({ text }) => {
        if (distinct === undefined) return true;
        const value = text === "" ? undefined : plainOf(JSON.parse(text) as Record<string, unknown>);
        counts.set(value, (counts.get(value) ?? 0) + 1);
        return value !== undefined && counts.get(value)! <= distinct.per!;
      })
      .slice(offset, offset + k)
      .map(({ key }) => key);
  }
}

/** What tells the values of `word` apart; undefined where there is none. */
function plainOf({ word }: Record<string, unknown>): string | undefined {
  if (word === undefined || !expressionOf(".word or 1").matches({ word })) return undefined;
  if (typeof word === "boolean") return String(Number(word));
  if (!Array.isArray(word)) return Object.is(word, -0) ? "0" : JSON.stringify(word);
  return JSON.stringify(word.map((each) => (Array.isArray(each) ? [] : each)));
}

test("whatever is written, filters find what a list of all keys says", async () => {
  const model = await new Modelled().open();
  for (let step = 0; step < STEPS; step++) await model.step();
  await model.close();
});
