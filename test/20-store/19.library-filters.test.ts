/** What the library offers around filters: the same as the commands of the server. */
import { expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { type Key, MmapVectorStore } from "../../src/index.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const DIMENSIONS = 4;
const KEYS = 2_500;
const random = generator(testSeed());

async function filled(): Promise<MmapVectorStore> {
  const options = { dimensions: DIMENSIONS, metric: "L2" } as const;
  const store = await MmapVectorStore.open(temporaryDirectory(), options, undefined, testIndex);
  const numbers = Array.from({ length: KEYS }, (_, i) => i);
  const vectors = new Float32Array(KEYS * DIMENSIONS);
  for (const i of numbers) vectors.set(randomVector(random, DIMENSIONS), i * DIMENSIONS);
  const texts = numbers.map((i) => (i % 5 === 0 ? "" : JSON.stringify({ n: i, group: `g${i % 7}` })));
  const keys = numbers.map((i) => `key ${i}`);
  expect(store.insertBatch(keys, vectors, texts)).toBe(KEYS);
  return store;
}

const names = (results: readonly { key: string }[]) => results.map(({ key }) => key);

test("a batch has attributes, and keys are counted, listed and deleted by them", async () => {
  const store = await filled();
  expect(store.getAttributes("key 6")).toBe('{"n":6,"group":"g6"}');
  expect(store.getAttributes("key 5")).toBeUndefined();
  const wanted = Array.from({ length: 200 }, (_, i) => i).filter((i) => i % 5 !== 0);
  expect(await store.count(".n < 200")).toBe(wanted.length);
  const listed: string[] = [];
  for await (const key of store.matchingKeys(".n < 200")) listed.push(key);
  expect(listed.sort()).toEqual(wanted.map((i) => `key ${i}`).sort());
  expect(await store.deleteMatching(".n < 200", 3)).toBe(3);
  expect(["key 1", "key 2", "key 3"].some((key) => store.has(key))).toBe(false);
  expect(await store.deleteMatching(".n < 200")).toBe(wanted.length - 3);
  expect(await store.count(".n < 200")).toBe(0);
  expect(store.length).toBe(KEYS - wanted.length);
  await store.close();
});

test("many queries give what each gives alone", async () => {
  const store = await filled();
  const queries = new Float32Array(70 * DIMENSIONS);
  for (let i = 0; i < 70; i++) queries.set(randomVector(random, DIMENSIONS), i * DIMENSIONS);
  const options = { k: 5, filter: ".group == 'g3'", withAttributes: true, offset: 1 };
  const found = await store.searchMany(queries, options);
  expect(found).toHaveLength(70);
  for (const [i, results] of found.entries()) {
    const query = queries.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS);
    expect(results).toEqual(await store.search(query, options));
  }
  await store.close();
});

test("keys stand for the mean of their vectors, minus that of others, and are no results", async () => {
  const store = await filled();
  const [a, b, x] = ["key 1", "key 2", "key 3"].map((key) => store.getSlice(key)!);
  const mean = Float32Array.from(a!, (component, i) => (component + b![i]!) / 2 - x![i]!);
  const all = names(await store.search(mean, { k: 23 }));
  const query = { like: ["key 1", Buffer.from("key 2")], unlike: ["key 3"] };
  const others = all.filter((key) => !["key 1", "key 2", "key 3"].includes(key)).slice(0, 20);
  expect(names(await store.search(query, { k: 20 }))).toEqual(others);
  expect(names(await store.search({ ...query, withSelf: true }, { k: 20 }))).toEqual(all.slice(0, 20));
  await expect(store.search({ like: ["no key"] }, { k: 1 })).rejects.toMatchObject({ code: "NOKEY" });
  await expect(store.search({ like: [] }, { k: 1 })).rejects.toThrow("'like' must be from 1 to 256, got 0");
  await store.close();
});

test("keys by chance are different ones, and a search is explained", async () => {
  const store = await filled();
  const some = await store.randomKeys(40);
  expect(new Set(some).size).toBe(40);
  expect(some.every((key) => store.has(key))).toBe(true);
  await expect(store.randomKeys(0)).rejects.toThrow("'count' must be from 1 to 10000, got 0");
  const facts = await store.explain(".n >= 1250 and .group? == 'g1'", { k: 3 });
  expect(facts).toMatchObject({ vectors: KEYS, columns: ["n", "group"], count: 3, json_read: 0 });
  expect(facts.matches).toBe(await store.count(".n >= 1250 and .group? == 'g1'"));
  await store.close();
});

test("results are at most so many for each value of a field", async () => {
  const store = await filled();
  const query = randomVector(random, DIMENSIONS);
  const results = await store.search(query, {
    k: 14,
    distinct: { field: "group", per: 2 },
    withAttributes: true,
  });
  const groups = results.map(({ attributes }) => JSON.parse(attributes!).group as string);
  expect(groups).toHaveLength(14);
  for (let i = 0; i < 7; i++) expect(groups.filter((group) => group === `g${i}`)).toHaveLength(2);
  await store.close();
});

test("what is wrong is named", async () => {
  const store = await filled();
  const batch = (attributes: readonly string[]) => () =>
    store.insertBatch(["a", "b"], new Float32Array(2 * DIMENSIONS).fill(1), attributes);
  expect(batch(["{}"])).toThrow("attributes");
  expect(batch(["{}", "[]"])).toThrow("'attributes' must be the JSON text of an object");
  const many = (length: number) => store.searchMany(new Float32Array(length).fill(1), { k: 1 });
  await expect(many(DIMENSIONS + 1)).rejects.toThrow("'queries' must be from 1 to 1024, got 1.25");
  await expect(many(1_025 * DIMENSIONS)).rejects.toThrow("got 1025");
  await expect(store.count(".a >")).rejects.toThrow("syntax error in FILTER expression at position");
  await expect(store.search({ lik: ["a" as Key] } as never, { k: 1 })).rejects.toThrow("'query' must be");
  await store.close();
  await expect(store.count("1")).rejects.toThrow("the store is closed");
});
