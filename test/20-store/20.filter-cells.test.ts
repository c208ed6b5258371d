/**
 * recall@10 of filtered searches against exact ones, for every way in which matches can lie around a query: shares from
 * all to one in a thousand, independent of the vector, near the query, far from it, and where two fields meet.
 */
import { expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, testSeed } from "../../harness/random.ts";
import { DIMENSIONS, loadWords } from "../../harness/words.ts";
import { distanceTo } from "../../src/engine/index/distance.ts";
import { MmapVectorStore } from "../../src/index.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const K = 10;
const RECALL_MIN = 0.95;
const SHARES = [1, 0.5, 0.2, 0.1, 0.04, 0.01, 0.001];
/** Queries around which attributes say how near a vector is, and queries near each of them. */
const ANCHORS = 4;
const QUERIES_PER_ANCHOR = 5;

const random = generator(testSeed());
const { words, vector, base, queries } = loadWords();

/** Rows of `among`, the nearest first. */
function byDistance(query: Float32Array, among: readonly number[]): number[] {
  const distance = distanceTo(query, "COSINE");
  const distances = new Map(among.map((row) => [row, distance(vector(row), 0)]));
  return [...among].sort((a, b) => distances.get(a)! - distances.get(b)!);
}

const anchors = Array.from({ length: ANCHORS }, () => queries[Math.floor(random() * queries.length)]!);
const near = anchors.map((anchor) => byDistance(vector(anchor), queries).slice(0, QUERIES_PER_ANCHOR));

/** Each cell's name, and its filter for the queries near an anchor. */
type Cell = readonly [name: string, filterOf: (anchor: number) => string];
const cells: readonly Cell[] = [
  ...SHARES.flatMap((share): Cell[] => [
    [`${share} independent of the vector`, () => `.any < ${share}`],
    [`${share} near the query`, (anchor) => `.rank${anchor} < ${share}`],
    [`${share} far from the query`, (anchor) => `.rank${anchor} >= ${1 - share}`],
  ]),
  ["two fields of a fifth", () => ".one and .other"],
];

async function filled(): Promise<MmapVectorStore> {
  const options = { dimensions: DIMENSIONS, efConstruction: 100 };
  const store = await MmapVectorStore.open(temporaryDirectory(), options, undefined, testIndex);
  const ranks = anchors.map((anchor) => {
    const order = byDistance(vector(anchor), base);
    return new Map(order.map((row, rank) => [row, rank / base.length]));
  });
  for (const row of base) {
    const rank = Object.fromEntries(ranks.map((of, at) => [`rank${at}`, of.get(row)!]));
    const fields = { any: random(), one: random() < 0.2, other: random() < 0.2, ...rank };
    store.insert(words[row]!, vector(row), { attributes: JSON.stringify(fields) });
  }
  await store.buildIndex();
  return store;
}

/** Over the queries near each anchor. */
async function recallOf(store: MmapVectorStore, [name, filterOf]: Cell): Promise<number> {
  let [wanted, found] = [0, 0];
  for (const [anchor, rows] of near.entries()) {
    const filter = filterOf(anchor);
    for (const row of rows) {
      const exact = await store.search(vector(row), { k: K, filter, exact: true });
      const hits = await store.search(vector(row), { k: K, filter });
      expect(hits, name).toHaveLength(exact.length);
      const limit = exact.at(-1)?.distance ?? 0;
      wanted += exact.length;
      found += hits.filter(({ distance }) => distance <= limit).length;
    }
  }
  expect(wanted, name).toBeGreaterThan(0);
  return found / wanted;
}

test("the nearest matches are found wherever they lie around the query", { timeout: 60_000 }, async () => {
  const store = await filled();
  const missed: string[] = [];
  for (const cell of cells) {
    const recall = await recallOf(store, cell);
    if (recall < RECALL_MIN) missed.push(`${recall} of ${cell[0]}`);
  }
  expect(missed).toEqual([]);
  await store.close();
});
