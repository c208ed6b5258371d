/**
 * A lookup looks at the entries of its own scope, however many scopes there are, and finds what a model finds: after
 * changes, deletions, restarts and compactions.
 */
import { expect, onTestFinished, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import type { Collection } from "../../src/engine/collection.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const scopes = 150;
const dimensions = 4;
const cache = { scope: ["tenant"], within: 0.1 };
const options = resolveOptions({ dimensions, metric: "L2", follow: { prefix: "{c}:" }, cache });
const filterOf = (scope: number) => `.in == "s${scope}"`;

class Model {
  readonly scopeOf = new Map<string, number>();
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  write(collection: Collection): void {
    const key = `{c}:${this.pick(3_000)}`;
    const scope = this.pick(scopes);
    // Some are longer than what columns take over at once.
    const json = { in: `s${scope}`, ...(this.pick(10) === 0 && { text: "x".repeat(1_200) }) };
    const attributes = { text: Buffer.from(JSON.stringify(json)), json };
    const act = this.pick(10);
    if (act === 0) collection.delete([Buffer.from(key)]);
    if (act === 0) this.scopeOf.delete(key);
    else if (act === 1 && this.scopeOf.has(key)) collection.setAttributes(Buffer.from(key), attributes);
    else
      collection.insert(Buffer.from(key), Float32Array.from({ length: dimensions }, this.#random), {
        attributes,
      });
    if (act !== 0) this.scopeOf.set(key, scope);
  }

  async check(collection: Collection, scope: number): Promise<void> {
    const query = new Float32Array(dimensions);
    const hits = await collection.search(query, { k: 3_000, filter: filterOf(scope) });
    const wanted = [...this.scopeOf].filter(([, of]) => of === scope).map(([key]) => key);
    expect(hits.map(({ key }) => Buffer.from(key).toString()).sort()).toEqual(wanted.sort());
  }
}

test("each scope is found as a model has it, by looking at its own entries", async () => {
  const directory = temporaryDirectory();
  const model = new Model(generator(testSeed()));
  let catalog = await Catalog.open(directory);
  onTestFinished(() => catalog.close());
  await catalog.create("c", options, "1-0");
  for (let round = 0; round < 4; round++) {
    const collection = catalog.get("c");
    for (let i = 0; i < 1_000; i++) {
      await collection.reserve(1);
      model.write(collection);
      if (i % 20 === 0) await model.check(collection, model.pick(scopes));
    }
    for (let scope = 0; scope < scopes; scope++) await model.check(collection, scope);
    const { slots_evaluated, vectors } = await collection.matching.explain(filterOf(0), 8, undefined);
    expect(vectors).toBeGreaterThan(400);
    expect(Number(slots_evaluated)).toBeLessThan(Number(collection.rows) / 10);
    expect(Number(collection.stats().filter_bytes)).toBeGreaterThan(300 * scopes + 8 * collection.rows);
    if (round % 3 === 1) await collection.compact();
    if (round % 3 === 2) {
      await catalog.close();
      catalog = await Catalog.open(directory);
    }
  }
});
