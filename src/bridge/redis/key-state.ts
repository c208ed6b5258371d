/** What Redis holds under vstore's keys: any client may have put another kind of value there. */
import type { Redis } from "ioredis";
import { readByScript } from "./script.ts";

export type KeyType = "none" | "stream" | "string" | "hash" | "list" | "set" | "zset";

const typesScript = `
local types = {}
for i, key in ipairs(KEYS) do types[i] = redis.call('TYPE', key).ok end
return types`;

/** Of each key, in order. */
export async function typesOf(redis: Redis, keys: readonly string[]): Promise<KeyType[]> {
  return (await readByScript(redis, typesScript, keys)) as KeyType[];
}

/** @throws Error that says what to do, when a key exists and holds something else */
export async function assertType(redis: Redis, type: KeyType, ...keys: string[]): Promise<void> {
  const found = await typesOf(redis, keys);
  for (const [i, key] of keys.entries()) {
    if (found[i] === "none" || found[i] === type) continue;
    throw new Error(`${key} should be a ${type} and is a ${found[i]}; delete or rename that key`);
  }
}

/** Of a stream, the last id that it ever had; undefined when there is none. */
export async function lastId(redis: Redis, stream: string): Promise<string | undefined> {
  if ((await redis.type(stream)) !== "stream") return undefined;
  const info = (await redis.call("XINFO", "STREAM", stream)) as unknown[];
  return String(info[info.indexOf("last-generated-id") + 1]);
}
