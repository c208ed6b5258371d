/** What Redis holds under vstore's keys: any client may have put another kind of value there. */
import type { Redis } from "ioredis";
import { readByScript } from "./script.ts";

/** `elsewhere`: the slot of the key is of another node of the cluster, or on its way there. */
export type KeyType = "elsewhere" | "none" | "stream" | "string" | "hash" | "list" | "set" | "zset";

/**
 * For scripts: `typeOf(key)`. On a node of a cluster a key that is elsewhere is an error of the command, and so is
 * every key while the cluster is down.
 */
export const typeFunction = `
local function typeOf(key)
  local type = redis.pcall('TYPE', key)
  if type.ok then return type.ok end
  if string.find(type.err, 'non local key', 1, true) then return 'elsewhere' end
  error(type.err)
end
`;

const typesScript = `${typeFunction}
local types = {}
for i, key in ipairs(KEYS) do types[i] = typeOf(key) end
return types`;

/** Of each key, in order. */
export async function typesOf(redis: Redis, keys: readonly string[]): Promise<KeyType[]> {
  return (await readByScript(redis, typesScript, keys)) as KeyType[];
}

/** A Map: in an object, collections called `constructor` or `__proto__` would find what every object has. */
export async function readHash(redis: Redis, key: string): Promise<Map<string, string>> {
  return new Map(Object.entries(await redis.hgetall(key)));
}

/** @throws Error that says what to do, when a key exists and holds something else */
export async function assertType(redis: Redis, type: KeyType, ...keys: string[]): Promise<void> {
  const found = await typesOf(redis, keys);
  for (const [i, key] of keys.entries()) {
    if (found[i] === "none" || found[i] === type) continue;
    throw new Error(`${key} should be a ${type} and is a ${found[i]}; delete or rename that key`);
  }
}

/** XINFO tells the first entry and the last one too, of up to 64 MiB each: they are not to leave Redis. */
const lastIdScript = `${typeFunction}
if typeOf(KEYS[1]) ~= 'stream' then return false end
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for at = 1, #info, 2 do
  if info[at] == 'last-generated-id' then return info[at + 1] end
end`;

/** Of a stream, the last id that it ever had; undefined when there is none. */
export async function lastId(redis: Redis, stream: string): Promise<string | undefined> {
  return ((await readByScript(redis, lastIdScript, [stream])) as string | null) ?? undefined;
}
