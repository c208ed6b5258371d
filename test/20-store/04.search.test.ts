import { expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { Collection } from "../../src/engine/collection.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { distanceTo } from "../../src/engine/index/distance.ts";
import { TAIL_SLOTS_MAX } from "../../src/engine/index/indexer.ts";
import { type CollectionOptions, type Metric, resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const DIMENSIONS = 8;
const key = (i: number) => Buffer.from(`key ${i}`);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

async function collection(options: Partial<CollectionOptions> = {}): Promise<Collection> {
  const directory = temporaryDirectory();
  await createFiles(directory, "c", resolveOptions({ dimensions: DIMENSIONS, ...options }), "0-0");
  return Collection.open(directory, (message) => expect.fail(message), testIndex);
}

async function filled(n: number, options: Partial<CollectionOptions> = {}) {
  const random = generator(testSeed());
  const store = await collection(options);
  const vectors = Array.from({ length: n }, () => randomVector(random, options.dimensions ?? DIMENSIONS));
  for (const [i, vector] of vectors.entries()) store.insert(key(i), vector);
  return { store, vectors, random };
}

test.each<[Metric, number]>([
  ["COSINE", 1 - 24 / (5 * Math.sqrt(25))],
  ["L2", Math.sqrt(2)],
  ["IP", 1 - 24],
])("the distance of %s is what it is said to be", async (metric, expected) => {
  const store = await collection({ dimensions: 2, metric });
  store.insert(key(0), new Float32Array([3, 4]));
  const [hit] = await store.search(new Float32Array([4, 3]), { k: 1 });
  expect(hit!.distance).toBeCloseTo(expected, 12);
  await store.close();
});

test("of a key that a batch names twice, a search finds the last vector alone", async () => {
  const store = await collection({ dimensions: 2, metric: "L2" });
  store.insertBatch(
    [key(0), key(1), key(0), key(1), key(2)],
    new Float32Array([1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
  );
  for (const isBuilt of [false, true]) {
    if (isBuilt) await store.build();
    const hits = await store.search(new Float32Array([1, 1]), { k: 5 });
    expect(hits.map((hit) => text(hit.key))).toEqual(["key 0", "key 1", "key 2"]);
    expect(hits[0]!.distance).toBeCloseTo(2 * Math.SQRT2, 5);
  }
  await store.close();
});

test.each(["COSINE", "L2", "IP"] as const)(
  "%s in blocks of four equals the plain sum, at every length",
  (metric) => {
    const random = generator(testSeed());
    for (let dimensions = 1; dimensions <= 33; dimensions++) {
      const [a, b] = [randomVector(random, dimensions), randomVector(random, dimensions)];
      const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
      const plain = {
        COSINE: 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)),
        L2: Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0)),
        IP: 1 - dot(a, b),
      };
      const rows = new Float32Array([9, 9, 9, ...b, 9]);
      expect(distanceTo(a, metric)(rows, 3)).toBeCloseTo(plain[metric], 12);
    }
  },
);

test.each(["COSINE", "L2", "IP"] as const)(
  "index and exact search name the same distances under %s",
  async (metric) => {
    const { store, random } = await filled(500, { metric });
    await store.build();
    for (let i = 0; i < 20; i++) {
      const query = randomVector(random, DIMENSIONS);
      const exact = await store.search(query, { k: 10, exact: true });
      const indexed = await store.search(query, { k: 10, ef: 500 });
      expect(indexed.map(({ key, distance }) => [text(key), distance])).toEqual(
        exact.map(({ key, distance }) => [text(key), distance]),
      );
    }
    await store.close();
  },
);

test.each(["COSINE", "L2", "IP"] as const)(
  "exact search under %s is exact whatever the size of the components",
  async (metric) => {
    const { store, vectors, random } = await filled(0, { metric });
    const anySize = () => {
      const size = 10 ** (random() * 44 - 24);
      return randomVector(random, DIMENSIONS).map((component) => component * size);
    };
    for (let i = 0; i < 2_000; i++) {
      vectors.push(i % 2 === 0 ? anySize() : vectors[i - 1]!.map((component) => component * 1.000001));
      store.insert(key(i), vectors[i]!);
    }
    for (let i = 0; i < 50; i++) {
      const query = i % 2 === 0 ? anySize() : vectors[i]!;
      const distances = vectors.map((vector) => distanceTo(query, metric)(vector, 0)).sort((a, b) => a - b);
      const hits = await store.search(query, { k: 10, exact: true });
      for (const [at, { distance }] of hits.entries()) {
        const tolerance = 1e-12 * Math.max(1, Math.abs(distances[at]!));
        expect(Math.abs(distance - distances[at]!), `result ${at}`).toBeLessThanOrEqual(tolerance);
      }
    }
    await store.close();
  },
);

test("every insert, update and delete is seen by the next search, indexed or not", async () => {
  const { store, vectors, random } = await filled(300, { metric: "L2" });
  await store.build();
  for (let i = 0; i < 300; i++) {
    const at = Math.floor(random() * 300);
    const moved = randomVector(random, DIMENSIONS);
    store.insert(key(at), moved);
    vectors[at] = moved;
    const [nearest] = await store.search(moved, { k: 1 });
    expect([text(nearest!.key), nearest!.distance]).toEqual([`key ${at}`, 0]);
    if (i % 3 === 0) {
      store.delete([key(at)]);
      const [other] = await store.search(moved, { k: 1 });
      expect(text(other!.key)).not.toBe(`key ${at}`);
      store.insert(key(at), moved);
    }
    if (i % 50 === 0) await store.build();
  }
  await store.close();
});

test("k results are given whenever k vectors exist, whatever was deleted", async () => {
  const { store, random } = await filled(2_000);
  await store.build();
  for (let i = 0; i < 1_995; i++) store.delete([key(i)]);
  for (const k of [1, 5, 10, 10_000]) {
    expect(await store.search(randomVector(random, DIMENSIONS), { k, ef: 1 })).toHaveLength(Math.min(k, 5));
  }
  for (let i = 1_995; i < 2_000; i++) store.delete([key(i)]);
  expect(await store.search(randomVector(random, DIMENSIONS), { k: 3 })).toEqual([]);
  await store.close();
});

test("within leaves out what is farther, on every path", async () => {
  const store = await collection({ dimensions: 1, metric: "L2" });
  for (let i = 0; i < 100; i++) store.insert(key(i), new Float32Array([i]));
  const found = async (exact: boolean) => {
    const hits = await store.search(new Float32Array([50]), { k: 100, within: 2, exact });
    return hits.map((hit) => text(hit.key)).sort();
  };
  const expected = [48, 49, 50, 51, 52].map((i) => `key ${i}`);
  expect(await found(false)).toEqual(expected);
  await store.build();
  expect(await found(false)).toEqual(expected);
  expect(await found(true)).toEqual(expected);
  await store.close();
});

test("a long search answers as of the moment it began", async () => {
  // 40,000 x 256 components take more than one slice, so that writes come in between.
  const dimensions = 256;
  const store = await collection({ dimensions, metric: "L2" });
  const n = 40_000;
  const at = (i: number) => new Float32Array(dimensions).fill(i);
  for (let i = 0; i < n; i++) store.insert(key(i), at(i));
  let over = false;
  const searching = store.search(at(0), { k: 3, exact: true }).finally(() => {
    over = true;
  });
  await new Promise(setImmediate);
  expect(over).toBe(false);
  store.delete([key(0)]);
  store.insert(key(1), at(n));
  store.insert(Buffer.from("new"), at(0));
  expect((await searching).map((hit) => text(hit.key))).toEqual(["key 0", "key 1", "key 2"]);
  const later = await store.search(at(0), { k: 3, exact: true });
  expect(later.map((hit) => text(hit.key))).toEqual(["new", "key 2", "key 3"]);
  await store.close();
});

test("indexing starts by itself when the tail is long, and searches go on meanwhile", async () => {
  const { store, random } = await filled(TAIL_SLOTS_MAX * 3);
  expect(store.tailLength).toBeGreaterThan(TAIL_SLOTS_MAX);
  while (store.tailLength > TAIL_SLOTS_MAX) {
    const query = randomVector(random, DIMENSIONS);
    const exact = await store.search(query, { k: 5, exact: true });
    const merged = await store.search(query, { k: 5, ef: 1_000 });
    expect(merged.map((hit) => text(hit.key))).toEqual(exact.map((hit) => text(hit.key)));
    await new Promise(setImmediate);
  }
  await store.close();
});
