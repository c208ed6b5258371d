/**
 * Reads everything that the store holds, in every way it can be asked, and insists that all of them agree: CARD, SCAN,
 * the vectors themselves, exact search, and search through the index. What it should hold is the oracle's business.
 */
import type { Redis } from "ioredis";
import type { Contents } from "./oracle.ts";
import { assertRecall, lookingForOne } from "./recall.ts";
import { attributesVersionOf, type Value, vectorOf, versionOf } from "./values.ts";

const SCAN_COUNT = 1_000;
/** The most results that SEARCH gives; no collection here has more vectors. */
const EVERYTHING = 10_000;
const QUERIES = 2;
const K = 10;
/** Stored vectors that the index is asked for; up to twice as many, as every n-th is one. */
const LOOKED_FOR = 100;
/** Of a distance that is computed here with doubles, relative to the components' size. */
const DISTANCE_ERROR_MAX = 1e-4;

type Metric = "COSINE" | "L2" | "IP";
type Pairs = Map<string, [distance: string, attributes: string | null]>;

interface Shape {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly slots: number;
}

/** @throws Error that says which two answers disagree */
export async function readContents(redis: Redis, random: () => number): Promise<Contents> {
  const names = (await redis.call("VSTORE.LIST")) as string[];
  const read = names.map(async (name): Promise<[string, Map<string, Value>]> => {
    return [name, await readCollection(redis, name, random)];
  });
  return new Map(await Promise.all(read));
}

export async function shapeOf(redis: Redis, name: string): Promise<Shape> {
  const info = (await redis.call("VSTORE.INFO", name)) as (string | number)[];
  const fact = (label: string) => info[info.indexOf(label) + 1];
  return {
    dimensions: Number(fact("dimensions")),
    metric: fact("metric") as Metric,
    slots: Number(fact("slots")),
  };
}

async function readCollection(redis: Redis, name: string, random: () => number): Promise<Map<string, Value>> {
  const shape = await shapeOf(redis, name);
  const keys = await scanAll(redis, name);
  assertSame(`CARD and SCAN of '${name}'`, await redis.call("VSTORE.CARD", name), keys.length);
  const vectors = await readVectors(redis, name, keys);
  let attributes: Pairs = new Map();
  for (let i = 0; i < QUERIES; i++) {
    const query = vectorOf("query", 1 + Math.floor(random() * 1_000), shape.dimensions);
    attributes = await searchAll(redis, name, query);
    assertExact(name, shape.metric, query, vectors, attributes);
    await checkIndex(redis, name, query, attributes);
    await checkFilters(redis, name, query, attributes, random);
  }
  await checkRecall(redis, name, keys, random);
  const seconds = await Promise.all(keys.map((key) => redis.call("VSTORE.TTL", name, key)));
  return new Map(
    keys.map((key, at) => {
      const version = versionOf(key, vectors.get(key)!);
      const attributesVersion = attributesVersionOf(key, attributes.get(key)![1]);
      return [key, { version, attributes: attributesVersion, expires: Number(seconds[at]) >= 0 }];
    }),
  );
}

/** A compaction in between begins the iteration again: a key may come twice then, but CARD counts it once. */
async function scanAll(redis: Redis, name: string): Promise<string[]> {
  const keys = new Set<string>();
  let cursor = "0";
  do {
    const [next, some] = (await redis.call("VSTORE.SCAN", name, cursor, "COUNT", SCAN_COUNT)) as [
      string,
      string[],
    ];
    for (const key of some) keys.add(key);
    cursor = next;
  } while (cursor !== "0");
  return [...keys];
}

async function readVectors(redis: Redis, name: string, keys: string[]): Promise<Map<string, number[]>> {
  if (keys.length === 0) return new Map();
  const vectors = (await redis.call("VSTORE.MGET", name, ...keys)) as (string[] | null)[];
  const missing = keys.find((_, at) => vectors[at] === null);
  if (missing !== undefined) throw new Error(`'${missing}' of '${name}' is in SCAN but has no vector`);
  return new Map(keys.map((key, at) => [key, vectors[at]!.map(Number)]));
}

async function searchAll(
  redis: Redis,
  name: string,
  query: Float32Array,
  ...filter: string[]
): Promise<Pairs> {
  const flags = ["COUNT", EVERYTHING, "EXACT", "WITHDISTANCES", "WITHATTRS", ...filter];
  const reply = await redis.call("VSTORE.SEARCH", name, "FP32", blob(query), ...flags);
  return toPairs(name, reply as unknown[]);
}

function toPairs(name: string, flat: readonly unknown[]): Pairs {
  const pairs: Pairs = new Map();
  for (let i = 0; i < flat.length; i += 2) pairs.set(String(flat[i]), flat[i + 1] as [string, string | null]);
  if (pairs.size !== flat.length / 2) throw new Error(`duplicate: SEARCH of '${name}' gave a key twice`);
  return pairs;
}

/** The exact search has every key, once, at its distance, nearest first. */
function assertExact(
  name: string,
  metric: Metric,
  query: Float32Array,
  vectors: ReadonlyMap<string, number[]>,
  found: Pairs,
): void {
  assertSame(`exact search and SCAN of '${name}'`, found.size, vectors.size);
  let last = Number.NEGATIVE_INFINITY;
  for (const [key, [text]] of found) {
    const vector = vectors.get(key);
    if (vector === undefined) throw new Error(`phantom: exact search of '${name}' found '${key}'`);
    const [got, expected] = [Number(text), distanceOf(metric, query, vector)];
    const scale = Math.max(1, Math.abs(expected));
    if (!(Math.abs(got - expected) <= DISTANCE_ERROR_MAX * scale) || got < last) {
      throw new Error(
        `wrong distance: '${key}' of '${name}' is at ${text} after ${last}, expected ${expected}`,
      );
    }
    last = got;
  }
}

/** The index may miss a neighbour, but what it gives is there, at that very distance, and it gives k. */
async function checkIndex(
  redis: Redis,
  name: string,
  query: Float32Array,
  exact: Pairs,
  ...filter: string[]
): Promise<void> {
  const options = ["COUNT", K, "WITHDISTANCES", ...filter];
  const reply = await redis.call("VSTORE.SEARCH", name, "FP32", blob(query), ...options);
  const flat = reply as string[];
  assertSame(`results of a search of '${name}' ${filter}`, flat.length / 2, Math.min(K, exact.size));
  for (let i = 0; i < flat.length; i += 2) {
    assertSame(
      `distance of '${flat[i]}' in '${name}' by the index and exactly`,
      flat[i + 1],
      exact.get(flat[i]!)?.[0],
    );
  }
}

/** A filter selects what a look at all attributes selects: counted, searched for exactly, and by the index. */
async function checkFilters(
  redis: Redis,
  name: string,
  query: Float32Array,
  all: Pairs,
  random: () => number,
): Promise<void> {
  const versions = new Map([...all].map(([key, [, text]]) => [key, attributesVersionOf(key, text)]));
  const highest = Math.max(1, ...versions.values());
  const limit = Math.floor(random() * highest);
  const filters: readonly (readonly [string, (version: number, key: string) => boolean])[] = [
    [".attributes % 2 == 0", (version) => version % 2 === 0],
    [`.attributes > ${limit}`, (version) => version > limit],
    [`.attributes <= ${limit} and "c0:" in .key`, (version, key) => version <= limit && key.includes("c0:")],
  ];
  for (const [filter, matches] of filters) {
    const isMatch = (key: string) => versions.get(key)! > 0 && matches(versions.get(key)!, key);
    const expected = new Map([...all].filter(([key]) => isMatch(key)));
    const count = await redis.call("VSTORE.CARD", name, "FILTER", filter);
    assertSame(`CARD of '${name}' FILTER ${filter}`, count, expected.size);
    const found = await searchAll(redis, name, query, "FILTER", filter);
    const [got, wanted] = [found, expected].map((pairs) => [...pairs.keys()].join(" "));
    assertSame(`exact search of '${name}' FILTER ${filter}`, got, wanted);
    await checkIndex(redis, name, query, expected, "FILTER", filter);
  }
}

/**
 * Most of what is nearest to stored vectors, in the metric IP others than these themselves, is found by the index too.
 */
async function checkRecall(
  redis: Redis,
  name: string,
  keys: readonly string[],
  random: () => number,
): Promise<void> {
  const every = Math.max(1, Math.floor(keys.length / LOOKED_FOR));
  const first = Math.floor(random() * every);
  const lookedFor = keys.filter((_, at) => at % every === first);
  const found = lookedFor.map(async (key) => {
    const ways = [["EXACT"], ["EF", lookingForOne.ef]];
    const [exact, byIndex] = await Promise.all(ways.map((how) => nearestDistance(redis, name, key, ...how)));
    return byIndex === exact;
  });
  assertRecall(`the index of '${name}'`, await Promise.all(found));
}

async function nearestDistance(
  redis: Redis,
  name: string,
  key: string,
  ...how: (string | number)[]
): Promise<string | undefined> {
  const rest = ["COUNT", lookingForOne.k, "WITHDISTANCES", ...how];
  const reply = await redis.call("VSTORE.SEARCH", name, "KEY", key, ...rest);
  return (reply as string[])[1];
}

function distanceOf(metric: Metric, a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (metric === "L2") return Math.hypot(...Array.from(a, (component, at) => component - b[at]!));
  if (metric === "IP") return 1 - dot(a, b);
  return 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at]! * b[at]!;
  return sum;
}

function assertSame(what: string, got: unknown, expected: unknown): void {
  if (got !== expected) throw new Error(`${what}: ${got} and ${expected}`);
}

export const blob = (vector: Float32Array): Buffer =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
