/** Whether a collection has exactly the vectors and attributes that it should, whichever way it is asked. */

import { randomVector } from "../../harness/random.ts";
import type { Collection } from "../../src/engine/collection.ts";
import type { Hit } from "../../src/engine/hits.ts";
import { assertRecall, lookingForOne } from "./recall.ts";

/** By key. */
export type Contents = Map<
  string,
  {
    readonly vector: Float32Array;
    readonly attributes: string | undefined;
    /** In ms since 1970; 0 for none. */
    readonly deadline: number;
  }
>;

const K = 5;
const MINUTE_MS = 60_000;

/** @throws Error that says what differs */
export async function assertContents(
  collection: Collection,
  expected: Contents,
  random: () => number,
): Promise<void> {
  const keys = collection.scan(0, Number.MAX_SAFE_INTEGER).keys.map((key) => Buffer.from(key).toString());
  assertSame("keys", keys.sort().join(), [...expected.keys()].sort().join());
  assertSame("length", collection.length, expected.size);
  for (const [key, { vector, attributes, deadline }] of expected) {
    assertSame(`vector of '${key}'`, String(collection.get(Buffer.from(key))), String(vector));
    assertSame(`attributes of '${key}'`, collection.getAttributes(Buffer.from(key)), attributes);
    assertSame(`expiry of '${key}'`, expiryOf(collection, Buffer.from(key)), deadline);
  }
  await assertSearch(collection, expected, randomVector(random, collection.options.dimensions));
  await assertIndex(collection, expected);
}

/** To the minute: the clock runs between two looks at it. */
function expiryOf(collection: Collection, key: Buffer): number {
  const left = collection.lifetimes.left(key)!;
  return Number.isFinite(left) ? Math.round((Date.now() + left) / MINUTE_MS) * MINUTE_MS : 0;
}

async function assertSearch(collection: Collection, expected: Contents, query: Float32Array): Promise<void> {
  const distances = [...expected].map(([key, { vector }]): [string, number] => [
    key,
    distanceOf(query, vector),
  ]);
  distances.sort(([, a], [, b]) => a - b);
  const exact = await collection.search(query, { k: expected.size + 1, exact: true });
  assertHits("exact search", exact, distances);
  const byKey = new Map(distances);
  const approximate = await collection.search(query, { k: K });
  const found = approximate.map(({ key }): [string, number] => [
    textOf(key),
    byKey.get(textOf(key)) ?? Number.NaN,
  ]);
  assertSame("results of the search", new Set(found.map(([key]) => key)).size, Math.min(K, expected.size));
  assertHits("search", approximate, found);
}

/** No two vectors here are the same, so each is its own nearest. */
async function assertIndex(collection: Collection, expected: Contents): Promise<void> {
  const searches = [...expected].map(async ([key, { vector }]) => {
    const [nearest] = await collection.search(vector, lookingForOne);
    return nearest !== undefined && textOf(nearest.key) === key;
  });
  assertRecall("the index", await Promise.all(searches));
}

function assertHits(what: string, hits: readonly Hit[], expected: readonly [string, number][]): void {
  assertSame(`results of ${what}`, hits.length, expected.length);
  for (const [at, { key, distance }] of hits.entries()) {
    const [expectedKey, expectedDistance] = expected[at]!;
    assertSame(`result ${at} of ${what}`, textOf(key), expectedKey);
    if (Math.abs(distance - expectedDistance) < 1e-5) continue;
    throw new Error(`distance of '${expectedKey}' in ${what}: ${distance}, expected ${expectedDistance}`);
  }
}

const textOf = (key: Uint8Array): string => Buffer.from(key).toString();

const distanceOf = (a: Float32Array, b: Float32Array): number =>
  Math.hypot(...Array.from(a, (component, at) => component - b[at]!));

function assertSame(what: string, got: unknown, expected: unknown): void {
  if (got !== expected) throw new Error(`${what}: ${got}, expected ${expected}`);
}
