/** recall@10 of the index against exact search: 9,800 word vectors, 200 held-out queries. */
import { expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { DIMENSIONS, loadWords } from "../../harness/words.ts";
import { MmapVectorStore } from "../../src/index.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const K = 10;
const { words, vectors, vector, base, queries } = loadWords();

async function recall(store: MmapVectorStore, ef: number): Promise<number> {
  let found = 0;
  for (const row of queries) {
    const exact = await store.search(vector(row), { k: K, exact: true });
    const truth = new Set(exact.map(({ key }) => key));
    const indexed = await store.search(vector(row), { k: K, ef });
    expect(indexed).toHaveLength(K);
    found += indexed.filter(({ key }) => truth.has(key)).length;
  }
  return found / (queries.length * K);
}

async function expectRecall(store: MmapVectorStore): Promise<void> {
  const at64 = await recall(store, 64);
  const at200 = await recall(store, 200);
  console.log(`recall@${K}: ${at64} at ef 64, ${at200} at ef 200, ${store.length} vectors`);
  expect(at64).toBeGreaterThanOrEqual(0.98);
  expect(at200).toBeGreaterThanOrEqual(0.995);
}

test("recall holds before and after reopening, and after deleting half", { timeout: 120_000 }, async () => {
  const directory = temporaryDirectory();
  let store = await MmapVectorStore.open(
    directory,
    { dimensions: DIMENSIONS, M: 16, efConstruction: 200 },
    undefined,
    testIndex,
  );
  for (const row of base) store.insert(words[row]!, vector(row));
  await store.buildIndex();
  await expectRecall(store);
  await store.close();

  store = await MmapVectorStore.open(directory, {}, undefined, testIndex);
  await expectRecall(store);

  for (const [i, row] of base.entries()) if (i % 2 === 0) store.delete(words[row]!);
  expect(store.length).toBe(base.length / 2);
  await expectRecall(store);
  await store.close();

  store = await MmapVectorStore.open(directory, {}, undefined, testIndex);
  await expectRecall(store);
  await store.close();
});

test("nearest to king are prince, queen, son, brother and monarch", async () => {
  const store = await MmapVectorStore.open(
    temporaryDirectory(),
    { dimensions: DIMENSIONS },
    undefined,
    testIndex,
  );
  store.insertBatch(words, vectors);
  const hits = await store.search(store.getSlice("king")!, { k: 6 });
  expect(hits.map(({ key, distance }) => `${key} ${distance.toFixed(3)}`)).toEqual([
    "king 0.000",
    "prince 0.232",
    "queen 0.249",
    "son 0.298",
    "brother 0.300",
    "monarch 0.302",
  ]);
  await store.close();
});
