/** Many equal vectors: they neither hide others nor vanish with one of them. */
import { describe, expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, testSeed } from "../../harness/random.ts";
import { normal } from "../../harness/shapes.ts";
import { MmapVectorStore } from "../../src/engine/library/mmap-vector-store.ts";
import type { Quantization } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const dimensions = 24;
const ef = 200;
const zero = new Float32Array(dimensions);
const x = normal(generator(testSeed()));
const vector = () => Float32Array.from({ length: dimensions }, x);

async function openWithZeros(quantization: Quantization, zeros: number): Promise<MmapVectorStore> {
  const options = { dimensions, metric: "L2", quantization } as const;
  const store = await MmapVectorStore.open(temporaryDirectory(), options, undefined, testIndex);
  for (let i = 0; i < zeros; i++) store.insert(`zero ${i}`, zero);
  return store;
}

async function insertOthers(store: MmapVectorStore, name: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) store.insert(`${name} ${i}`, vector());
  await store.buildIndex();
}

test("when the first of them is deleted, the others are found among all that come after", async () => {
  const store = await openWithZeros("F32", 100);
  await insertOthers(store, "before", 200);
  store.delete("zero 0");
  await insertOthers(store, "after", 2_000);
  const found = await store.search(zero, { k: 10, ef });
  expect(found.map(({ distance }) => distance)).toEqual(Array(10).fill(0));
  await store.close();
});

// The portable index has no codes.
describe.skipIf(testIndex === "portable").each(["INT2", "BIN"] as const)("%s", (quantization) => {
  test("more of them than EF do not push out a nearer one, whose code says that it is farther", async () => {
    const store = await openWithZeros(quantization, ef + 100);
    await insertOthers(store, "other", 300);
    for (let i = 0; i < 100; i++) {
      const query = vector();
      const [found] = await store.search(query, { k: 1, ef });
      const [exact] = await store.search(query, { k: 1, exact: true });
      expect(found?.distance).toBe(exact?.distance);
    }
    await store.close();
  });
});
