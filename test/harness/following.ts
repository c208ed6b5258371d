/** What tests of collections that follow keys ask of Redis and of the sidecar. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { served, until } from "./serving.ts";

/** Creates a collection that follows `<name>:`, and waits until nothing but its keys changes its log any more. */
export async function createFollowing(redis: Redis, name: string, ...from: string[]): Promise<void> {
  const follow = ["FOLLOW", "PREFIX", `${name}:`, ...from];
  await redis.call("VSTORE.CREATE", name, "DIM", 2, "METRIC", "L2", ...follow);
  await sleep(300); // BullMQ runs a new schedule once at the beginning, and that trims the log
  await untilInStep(redis, name);
}

/** Every key that has a vector, sorted. */
export async function vectorKeys(redis: Redis, collection: string): Promise<string[]> {
  const found = new Set<string>();
  let cursor = "0";
  do {
    const page = (await served(redis, "VSTORE.SCAN", collection, cursor, "COUNT", 100_000)) as [
      string,
      string[],
    ];
    cursor = String(page[0]);
    for (const key of page[1]) found.add(key);
  } while (cursor !== "0");
  return [...found].sort();
}

/** Resolves when these, and only these, have a vector. */
export async function untilVectors(redis: Redis, collection: string, keys: readonly string[]): Promise<void> {
  await untilVectorsOf(redis, collection, async () => keys);
}

/** The same of keys that may still go by themselves: they are asked for again each time. */
export async function untilVectorsOf(
  redis: Redis,
  collection: string,
  keys: () => Promise<readonly string[]>,
): Promise<void> {
  await until(
    async () => [[...(await keys())].sort().join(" "), (await vectorKeys(redis, collection)).join(" ")],
    ([wanted, found]) => found === wanted,
  );
}

/** The keys of the prefix that Redis has, sorted. */
export async function redisKeys(redis: Redis, prefix: string): Promise<string[]> {
  const found = new Set<string>();
  for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 }))
    for (const key of keys as string[]) found.add(key);
  return [...found].sort();
}

/** The entries of the collection's log that have the key as an argument: `cmd key`. */
export async function entriesOf(redis: Redis, collection: string, key: string): Promise<string[]> {
  const entries = await redis.xrange(`vstore:{${collection}}:log`, "-", "+");
  return entries
    .map(([, fields]) => fields)
    .filter((fields) => fields.some((field, at) => at % 2 === 1 && field === key))
    .map((fields) => fields[1]!);
}

/** Resolves when the log has told everything that has happened to the keys. */
export async function untilInStep(redis: Redis, collection: string): Promise<void> {
  await until(
    () => redis.hget("vstore:synced", collection),
    (state) => state === "synced",
  );
}

/** How often the sidecar has looked at all keys of a collection. */
export const looksOf = (sidecar: SidecarProcess): number =>
  sidecar.stderr.split("looked at all keys").length - 1;

export async function infoOf(redis: Redis, collection: string): Promise<Map<string, string | number>> {
  const flat = (await served(redis, "VSTORE.INFO", collection)) as (string | number)[];
  const pairs = flat.flatMap((name, at): [string, string | number][] =>
    at % 2 === 0 ? [[String(name), flat[at + 1]!]] : [],
  );
  return new Map(pairs);
}
