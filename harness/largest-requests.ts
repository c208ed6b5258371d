/**
 * The largest requests that every command takes, for the test and the benchmark that hold the turns of the sidecar's
 * event loop to a limit. A command of the registry that has no entry here fails the test.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
/** Fewer of them are enough for what looks at one after the other. */
const deep = attributed.slice(0, 120);

const wide = Array.from({ length: limits.dimensionsMax }, (_, i) => `-1.${String(i).padStart(17, "3")}e-17`);
const wideKeys = ["w", ...Array.from({ length: 140 }, (_, i) => `w${i}`)];
const wideVectors = Buffer.alloc(
  wideKeys.length * limits.dimensionsMax * 4,
  Buffer.from(new Float32Array([0.1]).buffer),
);
/** Nearly all of what a request may have, in one argument. */
const hugeKeys = Array.from({ length: 1_000 }, (_, i) => `h${i}`);
const hugeVectors = Buffer.alloc(
  hugeKeys.length * limits.dimensionsMax * 4,
  Buffer.from(new Float32Array([0.1, 0.7, 3]).buffer),
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
  await redis.call("VSTORE.CREATE", "huge", "DIM", limits.dimensionsMax, ...cheap);
  await redis.call("VSTORE.CREATE", "gone", "DIM", 1, ...cheap);
  await redis.call("VSTORE.CREATE", "tagged", "DIM", 1, ...cheap);
  await redis.call("VSTORE.CREATE", "deep", "DIM", 1, ...cheap);
  await fillCache(redis);
}

/** All of what an entry of a cache may have. */
const scope = (fields: readonly string[], value: string) => [
  fields.length,
  ...fields.flatMap((field) => [field, value]),
];
const scopeFields = Array.from({ length: limits.cacheScopeFieldsMax }, (_, i) => `${i}`.padEnd(64, "f"));
const longest = scope(scopeFields, "s".repeat(limits.cacheScopeValueBytesMax));
const cacheTags = Array.from({ length: limits.cacheTagsMax }, (_, i) =>
  `${i}`.padEnd(limits.cacheTagBytesMax, "t"),
);
const prompt = "p ".repeat(limits.cachePromptBytesMax / 2);

/** As many entries as one CACHE.DEL may delete, three times. */
async function fillCache(redis: Redis): Promise<void> {
  await redis.call("VSTORE.CACHE.CREATE", "cached", "DIM", 1, "SCOPE", 1, "tenant");
  const entry = ["FP32", Buffer.from(new Float32Array([1]).buffer), "VALUE", "v", "SCOPE", 1, "tenant", "a"];
  const pipeline = redis.pipeline();
  for (let i = 0; i < 3 * limits.cacheDeletedMax; i++)
    pipeline.call(
      "VSTORE.CACHE.SET",
      "cached",
      ...entry,
      "ID",
      i,
      "TAGS",
      1,
      i < limits.cacheDeletedMax ? "x" : "y",
      "NOWAIT",
    );
  await pipeline.exec();
  await redis.call("VSTORE.WAIT", "cached");
}

/** As many small attributes as one request may name keys. */
const tags = keys.map((_, i) => `{"n":${i},"t":["${i % 7}"]}`);
const small = Buffer.alloc(keys.length * 4);
/** Each part of it takes long to be found missing in the text of `b`: all but one of its characters are there. */
const lookedFor = `${"x".repeat(250)}y${"x".repeat(250)}`;
const notThere = Array.from({ length: 4 }, (_, i) => `"${lookedFor}${i}" in .b`).join(" or ");
/** With nearly as many operands and operators as an expression may have, none of which one field decides. */
const longExpression = Array.from({ length: 680 }, (_, i) => `(.n+${i}) != .t`).join(" and ");
const several = keys.slice(0, limits.meanKeysMax - 1).flatMap((each) => ["KEY", each]);

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
  request("MINSERT", "the largest argument", "huge", hugeKeys.length, ...hugeKeys, "FP32", hugeVectors),
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
  request(
    "SCAN",
    "all keys with details",
    "many",
    0,
    "COUNT",
    limits.scanCountMax,
    "WITHATTRS",
    "WITHEXPIRETIME",
  ),
  request("SCAN", "attributes", "few", 0, "COUNT", limits.scanCountMax, "WITHATTRS"),
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
  request(
    "MINSERT",
    "some attributes",
    "deep",
    deep.length,
    ...deep,
    "FP32",
    few.subarray(0, 4 * deep.length),
    "SETATTR",
    ...attributes.slice(0, deep.length),
  ),
  request("EXPLAIN", "of all attributes", "deep", "FILTER", '.b != ""', "COUNT", limits.countMax),
  request("CARD", "all keys", "many"),
  request("WAIT", "for all writes", "many", "SINCE", "0-1"),
  request("TOKEN", "of many keys", "many"),
  request("CARD", "a filter of all attributes", "deep", "FILTER", '.b > "w"'),
  request("SCAN", "a filter of all attributes", "few", 0, "FILTER", '.b < "w"', "COUNT", limits.scanCountMax),
  request("SEARCH", "texts in attributes", "deep", "VALUES", 1, 0, "FILTER", notThere),
  request("SEARCH", "different attributes", "few", "VALUES", 1, 0, "COUNT", 100, "DISTINCT", "b", "PER", 100),
  request(
    "SEARCH",
    "far from several keys",
    "many",
    ...several,
    "NOT",
    "KEY",
    keys.at(-1)!,
    "OFFSET",
    limits.countMax / 2,
    "COUNT",
    limits.countMax / 2 - limits.meanKeysMax,
    "WITHDISTANCES",
  ),
  request("MINSERT", "small attributes", "tagged", keys.length, ...keys, "FP32", small, "SETATTR", ...tags),
  request("SEARCH", "the longest filter", "tagged", "VALUES", 1, 0, "FILTER", longExpression),
  request("EXPLAIN", "the longest filter, again", "tagged", "FILTER", `${longExpression} and 1`),
  request(
    "MSEARCH",
    "as many candidates",
    "many",
    64,
    "FP32",
    vectors.subarray(0, 64 * dimensions * 4),
    "EF",
    9_999,
  ),
  request(
    "MSEARCH",
    "as many queries",
    "few",
    limits.queriesMax,
    "FP32",
    small.subarray(0, 4 * limits.queriesMax),
    "COUNT",
    60,
  ),
  request(
    "MSEARCH",
    "with all options",
    "deep",
    64,
    "FP32",
    small.subarray(0, 4 * 64),
    ...["COUNT", 10, "OFFSET", 90, "EXACT", "FILTER", '.b > "w"', "WITHDISTANCES", "WITHATTRS"],
  ),
  request(
    "MSEARCH",
    "different values",
    "tagged",
    64,
    "FP32",
    small.subarray(0, 4 * 64),
    ...["DISTINCT", "t", "PER", 10, "COUNT", 70],
  ),
  request(
    "CACHE.CREATE",
    "with all options",
    "answers",
    ...[
      "DIM",
      limits.dimensionsMax,
      "METRIC",
      "COSINE",
      "ERRORRATE",
      0.1,
      "SCOPE",
      scopeFields.length,
      ...scopeFields,
    ],
  ),
  request(
    "CACHE.SET",
    "with all options",
    "answers",
    ...["VALUES", wide.length, ...wide, "VALUE", "v".repeat(limits.cacheValueBytesMax), "PROMPT", prompt],
    ...[
      "ID",
      "i".repeat(limits.cacheIdBytesMax),
      "SCOPE",
      ...longest,
      "TAGS",
      cacheTags.length,
      ...cacheTags,
      "COST",
      1,
    ],
  ),
  request(
    "CACHE.GET",
    "with all options",
    "answers",
    ...["VALUES", wide.length, ...wide, "PROMPT", prompt, "SCOPE", ...longest, "VERIFY", 2],
  ),
  request("CACHE.FEEDBACK", "with all options", "cached", 1, "FALSE", "DISTANCE", 0.5),
  request("CACHE.FEEDBACK", "right", "cached", 1, "HIT", "DISTANCE", 0.4),
  request("CACHE.INFO", "all entries of a scope", "cached", ...["SCOPE", 1, "tenant", "a"]),
  request("CACHE.DEL", "as many as have a tag", "cached", "TAG", "x"),
  request("CACHE.DEL", "as many of a scope", "cached", ...["SCOPE", 1, "tenant", "a"]),
  request("CACHE.DEL", "as many ids", "cached", "ID", ...Array.from({ length: limits.keysMax }, (_, i) => i)),
  request("DEL", "as many as match", "tagged", "FILTER", ".n >= 0", "COUNT", limits.deleteMatchingMax),
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

/** The turns of a sidecar's event loop that were long; see turn-meter.mjs. */
export class TurnMeter {
  readonly #directory = mkdtempSync(join(tmpdir(), "vstore-turns-"));
  readonly #path = join(this.#directory, "turns");
  #read = 0;

  /** For the environment of the sidecar. */
  get env(): Record<string, string> {
    writeFileSync(this.#path, "");
    const meter = new URL("turn-meter.mjs", import.meta.url).href;
    return { TURNS_FILE: this.#path, NODE_OPTIONS: `--import=${meter}` };
  }

  /** Of those since the last time, in milliseconds that the thread worked; 0 where none was long. */
  longestMs(): number {
    const turns = readFileSync(this.#path, "latin1").split("\n").slice(0, -1).map(Number);
    const longest = Math.max(0, ...turns.slice(this.#read));
    this.#read = turns.length;
    return longest;
  }

  close(): void {
    rmSync(this.#directory, { recursive: true });
  }
}
