/**
 * SEARCH WITHVALUES through the sidecar: what the keys of the results hold, on real keys that change, vanish and are
 * large.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { limits } from "../../src/limits.ts";
import { fp32 } from "../harness/fp32.ts";
import { RespClient } from "../harness/resp.ts";

let vstore: Vstore;
let redis: Redis;

beforeAll(async () => {
  vstore = await startVstore({ args: ["--vstore.timeout", "30000"] });
  redis = new Redis(vstore.url, { protocol: 2 });
});
afterAll(async () => {
  redis?.disconnect();
  await vstore?.stop();
});

/** Three keys, nearest first: a string, a hash, and one that Redis does not have. */
beforeEach(async () => {
  await redis.call("VSTORE.DROP", "c").catch(() => {});
  await redis.del("text", "hash", "none");
  await redis.call("VSTORE.CREATE", "c", "DIM", 1, "METRIC", "L2");
  await redis.call("VSTORE.MINSERT", "c", 3, "text", "hash", "none", "FP32", fp32(1, 2, 3));
  await redis.call("VSTORE.SETATTR", "c", "hash", '{"a":1}');
  await redis.set("text", "hello");
  await redis.hset("hash", "title", "Doc", "year", "1999");
});

const search = (...options: (string | number)[]) =>
  redis.call("VSTORE.SEARCH", "c", "FP32", fp32(0), ...options) as Promise<unknown[]>;

describe.each([2, 3] as const)("RESP%i", (protocol) => {
  const [nil, map, one] = protocol === 2 ? ["$-1", "*", "$1 1"] : ["_", "%", ",1"];
  const size = (pairs: number) => `${map}${protocol === 2 ? 2 * pairs : pairs}`;
  const hash = `${size(2)} $5 title $3 Doc $4 year $4 1999`;

  /** An array of pairs; in RESP2 a flat one. */
  const pairs = (...each: string[]) =>
    [`*${protocol === 2 ? 2 * each.length : each.length}`, ...each].join(protocol === 2 ? " " : " *2 ");

  test.each<[string[], string]>([
    [["WITHVALUES"], pairs("$4 text $5 hello", `$4 hash ${hash}`, `$4 none ${nil}`)],
    [
      ["WITHVALUES", "FIELDS", "year", "nothing"],
      pairs("$4 text $5 hello", `$4 hash ${size(2)} $4 year $4 1999 $7 nothing ${nil}`, `$4 none ${nil}`),
    ],
    [["COUNT", "1", "WITHVALUES", "WITHDISTANCES"], pairs(`$4 text *2 ${one} $5 hello`)],
    [
      ["WITHVALUES", "WITHATTRS", "WITHIN", "2"],
      pairs(`$4 text *2 ${nil} $5 hello`, `$4 hash *2 $7 {"a":1} ${hash}`),
    ],
    [
      ["COUNT", "1", "WITHDISTANCES", "WITHATTRS", "WITHVALUES", "FIELDS", "x"],
      pairs(`$4 text *3 ${one} ${nil} $5 hello`),
    ],
    [["WITHIN", "0", "WITHVALUES"], "*0"],
  ])("%j", async (options, expected) => {
    const client = await RespClient.connect(vstore.port, protocol);
    const reply = await client.send("VSTORE.SEARCH", "c", "FP32", fp32(0), ...options);
    client.close();
    expect(reply.slice(0, -2).replaceAll("\r\n", " ")).toBe(expected);
  });
});

test("a key that is gone, has expired or is of another type gives nil", async () => {
  await redis.del("text", "hash");
  await redis.set("none", "soon gone", "PX", 1);
  await redis.rpush("hash", "a list");
  await delay(20);
  expect(await search("WITHVALUES")).toEqual(["text", null, "hash", null, "none", null]);
});

test("values of any bytes, empty ones, and many", async () => {
  const bytes = Buffer.from("\r\n\0$-1\r\n\xff", "latin1");
  await redis.set("text", bytes);
  await redis.del("hash");
  await redis.hset("hash", bytes, bytes, "", "");
  await redis.set("none", "");
  const found = await redis.callBuffer("VSTORE.SEARCH", "c", "FP32", fp32(0), "WITHVALUES");
  const [, text, , hash, , none] = found as [Buffer, Buffer, Buffer, Buffer[], Buffer, Buffer];
  expect(text).toEqual(bytes);
  expect(hash.map(String).sort()).toEqual(["", "", String(bytes), String(bytes)].sort());
  expect(none).toEqual(Buffer.alloc(0));
});

test("ten thousand results have their values, and searches at the same time do not mix them up", async () => {
  const count = limits.countMax;
  const keys = Array.from({ length: count }, (_, i) => `doc:${i}`);
  await redis.call("VSTORE.MINSERT", "c", count, ...keys, "FP32", fp32(...keys.map((_, i) => 100 + i)));
  await redis.mset(Object.fromEntries(keys.map((key) => [key, `value of ${key}`])));
  const query = ["VSTORE.SEARCH", "c", "FP32"] as const;
  const all = (await redis.call(...query, fp32(100), "COUNT", count, "EXACT", "WITHVALUES")) as string[];
  expect(all).toHaveLength(2 * count);
  const ones = await Promise.all(
    Array.from({ length: 200 }, (_, i) => redis.call(...query, fp32(100 + i), "COUNT", 1, "WITHVALUES")),
  );
  expect(ones).toEqual(ones.map((_, i) => [`doc:${i}`, `value of doc:${i}`]));
  await redis.del(...keys);
});

test("values as large as the limit arrive, larger ones are refused and harm no other client", async () => {
  await redis.set("hash", "x".repeat(5));
  await redis.setrange("text", limits.valuesBytesMax - 6, "y");
  const [, large] = await search("WITHVALUES");
  expect((large as string).length).toBe(limits.valuesBytesMax - 5);
  await redis.append("hash", "x");
  await expect(search("WITHVALUES")).rejects.toThrow(
    /^LIMIT the values of the results are more than 67108864 bytes; ask for fewer results/,
  );
  expect(await search("COUNT", 1, "WITHVALUES", "WITHDISTANCES")).toHaveLength(2);
  expect(await search()).toEqual(["text", "hash", "none"]);
});

test("as many fields as there may be, and no more; none without WITHVALUES", async () => {
  const fields = (count: number) => Array.from({ length: count }, (_, i) => `f${i}`);
  const found = await search("WITHVALUES", "FIELDS", ...fields(limits.fieldsMax));
  expect(found[3]).toHaveLength(2 * limits.fieldsMax);
  await expect(search("WITHVALUES", "FIELDS", ...fields(limits.fieldsMax + 1))).rejects.toThrow(
    "ERR 'FIELDS' must be at most 256 fields, got 257",
  );
  await expect(search("FIELDS", "a")).rejects.toThrow("ERR 'FIELDS' needs 'WITHVALUES'");
  await expect(search("WITHVALUES", "FIELDS")).rejects.toThrow("ERR 'FIELDS' needs a value after it");
  // Whatever comes after FIELDS is a field.
  expect((await search("WITHVALUES", "FIELDS", "COUNT"))[3]).toEqual(["COUNT", null]);
});
