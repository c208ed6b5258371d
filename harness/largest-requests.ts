/**
 * The largest requests that every command takes, for the test and the benchmark that hold the turns of the sidecar's
 * event loop to a limit. A command of the registry that has no entry here fails the test.
 */
import type { Redis } from "ioredis";
import { limits } from "../src/limits.ts";

export type Word = string | number | Buffer;

export interface Largest {
  readonly command: string;
  readonly what: string;
  readonly words: readonly Word[];
}

/** Of the collection "many": as many keys as one command may name, their vectors near the limit of a payload. */
const dimensions = 1_024;
const keyOf = (i: number) => `${i}:`.padEnd(limits.keyBytesMax, "k");
const keys = Array.from({ length: limits.keysMax }, (_, i) => keyOf(i));
const vectors = Buffer.alloc(
  keys.length * dimensions * 4,
  Buffer.from(new Float32Array([0.1, 0.7, 3]).buffer),
);

/** Keys with the largest attributes there are: all that one request, or one answer, may have. */
const attributed = keys.slice(0, 1_000);
const json = `{"a":${"[".repeat(30_000)}${"]".repeat(30_000)},"b":"`.padEnd(
  limits.attributesBytesMax - 2,
  "x",
);
const attributes = attributed.map(() => `${json}"}`);

const wide = Array.from({ length: limits.dimensionsMax }, (_, i) => `-1.${String(i).padStart(17, "3")}e-17`);
const wideKeys = ["w", ...Array.from({ length: 140 }, (_, i) => `w${i}`)];
const wideVectors = Buffer.alloc(
  wideKeys.length * limits.dimensionsMax * 4,
  Buffer.from(new Float32Array([0.1]).buffer),
);

/** Takes as many comparisons as a pattern can: each star is tried at each place. */
const pattern = `*${"k".repeat(limits.patternBytesMax / 2)}*${"k".repeat(limits.patternBytesMax / 2 - 3)}!`;
const fields = Array.from({ length: limits.followAttributesMax }, (_, i) =>
  `${i}`.padEnd(limits.followFieldBytesMax, "f"),
);

/** The collections that the requests are about. */
export async function prepare(redis: Redis): Promise<void> {
  const cheap = ["METRIC", "L2", "M", limits.mMin, "EF_CONSTRUCTION", limits.efConstructionMin];
  await redis.call("VSTORE.CREATE", "many", "DIM", dimensions, ...cheap);
  await redis.call("VSTORE.CREATE", "few", "DIM", 1, ...cheap);
  await redis.call("VSTORE.CREATE", "wide", "DIM", limits.dimensionsMax, ...cheap);
  await redis.call("VSTORE.CREATE", "gone", "DIM", 1, ...cheap);
}

const few = Buffer.alloc(attributed.length * 4);

/** In the order in which they are to be sent. */
export const largestRequests: readonly Largest[] = [
  request(
    "CREATE",
    "with all options",
    "followed",
    "DIM",
    limits.dimensionsMax,
    "FOLLOW",
    "PREFIX",
    "p:",
    "FROM",
    "HASH",
    "FIELD",
    "v",
    "ATTRS",
    ...fields,
  ),
  request("MINSERT", "as many keys, new", "many", keys.length, ...keys, "FP32", vectors),
  request("MINSERT", "as many keys, again", "many", keys.length, ...keys, "FP32", vectors),
  request(
    "MINSERT",
    "attributes",
    "few",
    attributed.length,
    ...attributed,
    "FP32",
    few,
    "SETATTR",
    ...attributes,
  ),
  request("MINSERT", "attributes that are kept", "few", attributed.length, ...attributed, "FP32", few),
  request("MINSERT", "wide vectors", "wide", wideKeys.length, ...wideKeys, "FP32", wideVectors),
  request(
    "INSERT",
    "decimals and attributes",
    "wide",
    "w",
    "VALUES",
    wide.length,
    ...wide,
    "SETATTR",
    attributes[0]!,
  ),
  request("SETATTR", "attributes", "wide", "w", attributes[0]!),
  request("GETATTR", "attributes", "wide", "w"),
  request("GET", "decimals", "wide", "w"),
  request("MGET", "decimals", "wide", ...wideKeys),
  request("MGET", "raw", "many", "RAW", keys.length, ...keys),
  request("EXISTS", "as many keys", "many", ...keys),
  request("SCAN", "all keys", "many", 0, "COUNT", limits.scanCountMax),
  request("SCAN", "a pattern", "many", 0, "COUNT", limits.scanCountMax, "MATCH", pattern),
  request(
    "SEARCH",
    "as many results",
    "many",
    "KEY",
    keys[0]!,
    "COUNT",
    limits.countMax,
    "EF",
    limits.efMax,
    "WITHDISTANCES",
  ),
  request("SEARCH", "attributes", "few", "VALUES", 1, 0, "COUNT", limits.countMax, "WITHATTRS"),
  request(
    "SEARCH",
    "exact, of decimals",
    "wide",
    "VALUES",
    wide.length,
    ...wide,
    "COUNT",
    limits.countMax,
    "EXACT",
  ),
  request("EXPIRE", "a long time", "many", keys[1]!, limits.ttlSecondsMax),
  request("TTL", "one key", "many", keys[1]!),
  request("PEXPIRE", "a long time", "many", keys[1]!, limits.ttlMsMax),
  request("EXPIREAT", "a far time", "many", keys[1]!, 4_000_000_000),
  request("PEXPIREAT", "a far time", "many", keys[1]!, 4_000_000_000_000),
  request("PTTL", "one key", "many", keys[1]!),
  request("PERSIST", "one key", "many", keys[1]!),
  request("RANDMEMBER", "as many keys", "many", limits.randomKeysMax),
  request("EXPLAIN", "of all keys", "many", "FILTER", '.b != ""', "COUNT", limits.countMax),
  request("MSEARCH", "as many queries", "many", 64, "FP32", vectors.subarray(0, 64 * dimensions * 4)),
  request("CARD", "all keys", "many"),
  request("BUILD", "all keys", "many", "WAIT"),
  request("CHECKPOINT", "all collections"),
  request("INFO", "all collections"),
  request("LIST", "all collections"),
  request("DEL", "as many keys", "many", ...keys),
  request("DROP", "a collection", "gone"),
];

function request(command: string, what: string, ...words: Word[]): Largest {
  return { command, what, words };
}

/** What VSTORE.INFO says of the longest turn since clients are served. */
export async function longestTurnMs(redis: Redis): Promise<number> {
  const facts = (await redis.call("VSTORE.INFO")) as (string | number)[];
  return facts[facts.indexOf("loop_turn_ms_max") + 1] as number;
}
