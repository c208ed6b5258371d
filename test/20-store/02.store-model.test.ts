/** The store against the simplest thing that could be right: a Map in insertion order, and a sort. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { testSeed } from "../../harness/random.ts";
import { MmapVectorStore } from "../../src/index.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const DIMENSIONS = 4;
const KEYS = 12;

class Model {
  readonly vectors = new Map<string, number[]>();

  insert(key: string, vector: number[], mode?: "NX" | "XX"): boolean | null {
    const exists = this.vectors.has(key);
    if (mode === (exists ? "NX" : "XX")) return null;
    this.vectors.delete(key); // an update moves to the end, as a new slot does
    this.vectors.set(key, vector);
    return !exists;
  }

  nearest(query: number[], k: number): { key: string; distance: number }[] {
    const distance = (vector: number[]) => Math.hypot(...vector.map((x, i) => x - query[i]!));
    return [...this.vectors]
      .map(([key, vector]) => ({ key, distance: distance(vector) }))
      .sort((a, b) => a.distance - b.distance)
      .slice(0, k);
  }
}

const key = fc.integer({ min: 0, max: KEYS - 1 }).map((i) => `key ${i}`);
const component = fc.integer({ min: -8, max: 8 });
const vector = fc.array(component, { minLength: DIMENSIONS, maxLength: DIMENSIONS });
const mode = fc.constantFrom(undefined, undefined, "NX" as const, "XX" as const);

type Operation =
  | { type: "insert"; key: string; vector: number[]; mode: "NX" | "XX" | undefined }
  | { type: "batch"; entries: { key: string; vector: number[] }[] }
  | { type: "delete"; key: string }
  | { type: "search"; query: number[]; k: number }
  | { type: "build" | "checkpoint" | "reopen" };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant("insert" as const), key, vector, mode }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("batch" as const),
      entries: fc.array(fc.record({ key, vector }), { minLength: 1, maxLength: 6 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("delete" as const), key }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("search" as const),
      query: vector,
      k: fc.integer({ min: 1, max: 20 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom("build" as const, "checkpoint" as const, "reopen" as const),
    }),
  },
);

async function checkSearch(store: MmapVectorStore, model: Model, query: number[], k: number): Promise<void> {
  const expected = model.nearest(query, k);
  for (const exact of [true, false]) {
    const found = await store.search(new Float32Array(query), { k, exact, ef: 100 });
    expect(found.map(({ distance }) => distance)).toEqual(
      expected.map(({ distance }) => expect.closeTo(distance, 9)),
    );
    for (const { key, distance } of found) {
      const own = model.vectors.get(key)!;
      expect(Math.hypot(...own.map((x, i) => x - query[i]!))).toBeCloseTo(distance, 9);
    }
  }
}

function checkContents(store: MmapVectorStore, model: Model): void {
  expect(store.length).toBe(model.vectors.size);
  expect([...store.keys()].sort()).toEqual([...model.vectors.keys()].sort());
  for (let i = 0; i < KEYS; i++) {
    const name = `key ${i}`;
    const expected = model.vectors.get(name);
    expect(store.has(name)).toBe(expected !== undefined);
    expect(store.getSlice(name)).toEqual(expected === undefined ? undefined : new Float32Array(expected));
  }
}

async function run(operations: Operation[]): Promise<void> {
  const directory = temporaryDirectory();
  const model = new Model();
  let store = await MmapVectorStore.open(
    directory,
    { dimensions: DIMENSIONS, metric: "L2" },
    undefined,
    testIndex,
  );
  for (const step of operations) {
    if (step.type === "insert") {
      const { key, vector, mode } = step;
      expect(store.insert(key, new Float32Array(vector), { mode })).toBe(model.insert(key, vector, mode));
    } else if (step.type === "batch") {
      const vectors = new Float32Array(step.entries.flatMap((entry) => entry.vector));
      const fresh = step.entries.filter(({ key, vector }) => model.insert(key, vector)).length;
      expect(
        store.insertBatch(
          step.entries.map((entry) => entry.key),
          vectors,
        ),
      ).toBe(fresh);
    } else if (step.type === "delete") {
      expect(store.delete(step.key)).toBe(model.vectors.delete(step.key));
    } else if (step.type === "search") {
      await checkSearch(store, model, step.query, step.k);
    } else if (step.type === "build") {
      await store.buildIndex();
    } else if (step.type === "checkpoint") {
      await store.checkpoint();
    } else {
      await store.close();
      store = await MmapVectorStore.open(directory, {}, undefined, testIndex);
    }
    checkContents(store, model);
  }
  await store.close();
}

test("any sequence of operations gives what a plain model gives", async () => {
  await fc.assert(fc.asyncProperty(fc.array(operation, { maxLength: 60 }), run), {
    seed: testSeed(),
    numRuns: 60,
  });
});
