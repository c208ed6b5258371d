/** FROM HASH: an application that only writes hashes gets search. */
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import {
  createFollowing,
  entriesOf,
  infoOf,
  untilInStep,
  untilVectors,
  vectorKeys,
} from "../harness/following.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";

let vstore: Vstore;
let redis: Redis;
let name: string;
let number = 0;

beforeAll(async () => {
  vstore = await startVstore({}, { env: { VSTORE_CHECKPOINT_INTERVAL_MS: "3600000" } });
  redis = connectClient(vstore.url);
});
afterAll(async () => {
  redis.disconnect();
  await vstore.stop();
});

/** A collection of its own, which takes `<name>:` hashes; returns the name of its first key. */
async function follow(...attributes: string[]): Promise<string> {
  name = `c${++number}`;
  const attrs = attributes.length === 0 ? [] : ["ATTRS", ...attributes];
  await createFollowing(redis, name, "FROM", "HASH", "FIELD", "v", ...attrs);
  return `${name}:1`;
}

const vectorOf = (key: string) => redis.call("VSTORE.GET", name, key) as Promise<string[] | null>;
const attributesOf = async (key: string) =>
  JSON.parse(((await redis.call("VSTORE.GETATTR", name, key)) as string) ?? "null");
const slots = async () => (await infoOf(redis, name)).get("slots");

async function errors(): Promise<string[]> {
  const entries = await redis.xrange(`vstore:{${name}}:errors`, "-", "+");
  return entries.map(([, fields]) => fields.at(-1)!);
}

describe("a hash is found", () => {
  test("after HSET, with its attributes, by the next search", async () => {
    const key = await follow("title", "year");
    await redis.hset(key, { v: fp32(1, 2), title: 'a "title"', year: 1999, other: "x" });
    expect(await redis.call("VSTORE.SEARCH", name, "FP32", fp32(1, 2))).toEqual([key]);
    expect(await attributesOf(key)).toEqual({ title: 'a "title"', year: "1999" });
    expect(await entriesOf(redis, name, key)).toEqual(["FOLLOWED"]);
  });

  test("after HMSET, HSETNX, RENAME, COPY, RESTORE, MOVE, Lua and MULTI", async () => {
    await follow();
    const keys = ["a", "b", "c", "d", "e", "f", "g", "h"].map((each) => `${name}:${each}`);
    const [hmset, hsetnx, renamed, copied, restored, moved, lua, multi] = keys as [
      ...[string, string, string, string],
      ...[string, string, string, string],
    ];
    await redis.hmset(hmset, "v", fp32(1, 2));
    await redis.hsetnx(hsetnx, "v", fp32(1, 2));
    await redis.hset(`other:${name}`, "v", fp32(1, 2));
    await redis.rename(`other:${name}`, renamed);
    await redis.copy(renamed, copied);
    await redis.restore(restored, 0, (await redis.dumpBuffer(renamed))!);
    await redis.multi().select(1).hset(moved, "v", fp32(1, 2)).move(moved, 0).select(0).exec();
    await redis.eval("redis.call('HSET', KEYS[1], 'v', ARGV[1])", 1, lua, fp32(1, 2));
    await redis.multi().del(multi).hset(multi, "v", fp32(1, 2)).exec();
    await untilVectors(redis, name, keys);
  });

  test("with what it holds at the end of a transaction", async () => {
    const key = await follow("n");
    await redis
      .multi()
      .hset(key, "v", fp32(1, 2))
      .del(key)
      .hset(key, "v", fp32(3, 4), "n", 1)
      .hincrby(key, "n", 1)
      .exec();
    expect(await vectorOf(key)).toEqual(["3", "4"]);
    expect(await attributesOf(key)).toEqual({ n: "2" });
  });
});

describe("a hash changes", () => {
  test("its vector: the vector", async () => {
    const key = await follow();
    await redis.hset(key, "v", fp32(1, 2));
    await redis.hset(key, "v", fp32(3, 4));
    expect(await vectorOf(key)).toEqual(["3", "4"]);
    expect(await redis.call("VSTORE.CARD", name)).toBe(1);
  });

  test("a counter beside it: the attribute, and no new slot", async () => {
    const key = await follow("n", "f");
    await redis.hset(key, "v", fp32(1, 2));
    expect(await attributesOf(key)).toBe(null);
    for (let i = 0; i < 100; i++) await redis.hincrby(key, "n", 1);
    await redis.hincrbyfloat(key, "f", 1.5);
    expect(await attributesOf(key)).toEqual({ n: "100", f: "1.5" });
    expect(await slots()).toBe(1);
    await redis.hdel(key, "n", "f");
    expect(await attributesOf(key)).toBe(null);
  });

  test("what is no attribute: nothing; SETATTR's stay", async () => {
    const key = await follow();
    await redis.hset(key, "v", fp32(1, 2));
    await redis.call("VSTORE.SETATTR", name, key, '{"own":1}');
    const bytes = (await infoOf(redis, name)).get("attributes_bytes");
    await redis.hset(key, "x", "y");
    expect(await attributesOf(key)).toEqual({ own: 1 });
    expect([await slots(), (await infoOf(redis, name)).get("attributes_bytes")]).toEqual([1, bytes]);
  });

  test.each<[string, (key: string) => Promise<unknown>]>([
    ["HDEL of the vector", (key) => redis.hdel(key, "v")],
    ["HDEL of everything", (key) => redis.hdel(key, "v", "x")],
    ["DEL", (key) => redis.del(key)],
    ["expiry", (key) => redis.pexpire(key, 5)],
    ["RENAME", (key) => redis.rename(key, `x:${key}`)],
    ["SET", (key) => redis.set(key, "a string")],
    ["MSET", (key) => redis.mset(key, "a string")],
    ["BITOP", (key) => redis.set("s", "t").then(() => redis.bitop("NOT", key, "s"))],
    ["SUNIONSTORE", (key) => redis.sadd("set", "t").then(() => redis.sunionstore(key, "set"))],
    ["ZUNIONSTORE", (key) => redis.zadd("zset", 1, "t").then(() => redis.zunionstore(key, 1, "zset"))],
    ["SORT … STORE", (key) => redis.sadd("set", "t").then(() => redis.sort("set", "ALPHA", "STORE", key))],
    ["RENAME of another over it", (key) => redis.set("s", "t").then(() => redis.rename("s", key))],
  ])("%s: the vector goes, once", async (_, change) => {
    const key = await follow();
    await redis.hset(key, "v", fp32(1, 2), "x", "y");
    await redis.hset(`${name}:2`, "v", fp32(1, 2));
    await change(key);
    await untilVectors(redis, name, [`${name}:2`]);
    expect(await entriesOf(redis, name, key)).toEqual(["FOLLOWED", "DEL"]);
  });
});

describe("a hash with a bad vector", () => {
  test.each<[string, Buffer, string]>([
    ["too short", fp32(1), "'vector' must be 8 bytes (2 x float32), got 4"],
    ["empty", Buffer.alloc(0), "'vector' must be 8 bytes (2 x float32), got 0"],
    ["not finite", fp32(1, Number.NaN), "'vector' must be finite, component 2 is NaN"],
  ])("(%s) is reported, not found, and disturbs no HSET", async (_, blob, reason) => {
    const key = await follow();
    await redis.hset(key, "v", fp32(1, 2));
    expect(await redis.hset(key, "v", blob)).toBe(0);
    await untilVectors(redis, name, []);
    expect(await errors()).toEqual([`ERR the hash '${key}' has no usable vector: ${reason}`]);
    await redis.hset(key, "v", fp32(5, 6));
    expect(await vectorOf(key)).toEqual(["5", "6"]);
  });

  test("or a key of more than 1,024 bytes: the same, and its end is no news", async () => {
    await follow();
    const key = `${name}:`.padEnd(1_024, "x");
    await redis.hset(key, "v", fp32(1, 2));
    await redis.hset(`${key}x`, "v", fp32(1, 2));
    await redis.del(`${key}x`);
    await untilVectors(redis, name, [key]);
    expect(await errors()).toHaveLength(1);
    expect((await errors())[0]).toContain("'key' must be 1 to 1024 bytes");
  });

  test("of more than 64 MiB: the same", { timeout: 120_000 }, async () => {
    const key = await follow();
    await redis.hset(key, "v", Buffer.alloc(64 * 1024 * 1024 + 1));
    await until(errors, (all) => all.length === 1);
    expect(await redis.memory("USAGE", `vstore:{${name}}:log`)).toBeLessThan(100_000);
    await redis.del(key);
  });
});

describe("a hash with bad attributes keeps its vector, has none of them, and is reported", () => {
  const inside = "x".repeat(65_536 - '{"text":""}'.length);

  test.each<[string, string | Buffer, string]>([
    ["more than 64 KiB of JSON", `${inside}x`, "they must be at most 65536 bytes of JSON"],
    ["an attribute of more than 64 KiB", "x".repeat(70_000), "they must be at most 65536 bytes of JSON"],
    [
      "more than 64 KiB because of what JSON escapes",
      '"'.repeat(40_000),
      "they must be at most 65536 bytes of JSON",
    ],
    ["not UTF-8", Buffer.from([0x61, 0xff]), "'text' must be valid UTF-8"],
  ])("(%s)", async (_, text, reason) => {
    const key = await follow("text", "other");
    await redis.hset(key, "v", fp32(1, 2), "text", "short", "other", "x");
    await redis.hset(key, "text", text);
    await until(errors, (all) => all.length > 0);
    expect(await errors()).toEqual([`ERR the hash '${key}' has no usable attributes: ${reason}`]);
    expect(await vectorOf(key)).toEqual(["1", "2"]);
    expect(await attributesOf(key)).toBe(null);
    await redis.hset(key, "v", fp32(3, 4));
    expect(await vectorOf(key)).toEqual(["3", "4"]);
    await redis.hset(key, "text", "short");
    expect(await attributesOf(key)).toEqual({ text: "short", other: "x" });
  });

  test("just inside: they are kept", async () => {
    const key = await follow("text");
    await redis.hset(key, "v", fp32(1, 2), "text", inside);
    expect(await attributesOf(key)).toEqual({ text: inside });
    await redis.hset(key, "text", "é \u{1F600} \ufffd \ufeff");
    expect(await attributesOf(key)).toEqual({ text: "é \u{1F600} \ufffd \ufeff" });
    expect(await errors()).toEqual([]);
  });

  test("(of more than 64 MiB): and the log stays small", { timeout: 120_000 }, async () => {
    const key = await follow("text");
    await redis.hset(key, "v", fp32(1, 2), "text", Buffer.alloc(64 * 1024 * 1024 + 1));
    await until(errors, (all) => all.length === 1);
    expect(await vectorOf(key)).toEqual(["1", "2"]);
    expect(await redis.memory("USAGE", `vstore:{${name}}:log`, "SAMPLES", 0)).toBeLessThan(200_000);
    await redis.del(key);
  });
});

describe("hashes that exist already", () => {
  test("are found after CREATE, with progress in INFO", async () => {
    name = `c${++number}`;
    const load = redis.pipeline();
    for (let i = 0; i < 5_000; i++) load.hset(`${name}:${i}`, "v", fp32(i, 1));
    load.set(`${name}:string`, "value").hset(`${name}:none`, "x", "y").hset(`x${name}:1`, "v", fp32(1, 1));
    await load.exec();
    const from = ["FOLLOW", "PREFIX", `${name}:`, "FROM", "HASH", "FIELD", "v"];
    await redis.call("VSTORE.CREATE", name, "DIM", 2, "METRIC", "L2", ...from);
    const info = await until(
      () => infoOf(redis, name),
      (seen) => Number(seen.get("follow_keys_done")) > 0,
    );
    expect(info.get("follow_resyncing")).toBe(1);
    expect(Number(info.get("follow_keys_total"))).toBeGreaterThanOrEqual(5_000);
    await untilInStep(redis, name);
    await until(
      () => redis.call("VSTORE.CARD", name),
      (count) => count === 5_000,
    );
    expect((await infoOf(redis, name)).get("follow_resyncing")).toBe(0);
    expect((await infoOf(redis, name)).get("follow_prefix")).toBe(`${name}:`);
    expect(await slots()).toBe(5_000);
  });

  test("and are looked at again on demand: nothing is written twice", async () => {
    const key = await follow("title");
    await redis.hset(key, "v", fp32(1, 2), "title", "t");
    await redis.call("VSTORE.DEL", name, key);
    await redis.call("VSTORE.INSERT", name, `${name}:gone`, "FP32", fp32(3, 4));
    await redis.hdel("vstore:synced", name);
    await untilVectors(redis, name, [key]);
    await untilInStep(redis, name);
    const before = await slots();
    await redis.hdel("vstore:synced", name);
    await untilInStep(redis, name);
    expect(await vectorKeys(redis, name)).toEqual([key]);
    expect(await slots()).toBe(before);
  });
});

test("a prefix with the characters of a pattern is taken by its bytes", async () => {
  name = `c${++number}`;
  const prefix = "a*?[b]\\^-:";
  await redis.hset(`${prefix}1`, "v", fp32(1, 2));
  await redis.hset("axx[b]", "v", fp32(1, 2));
  const from = ["FOLLOW", "PREFIX", prefix, "FROM", "HASH", "FIELD", "v"];
  await redis.call("VSTORE.CREATE", name, "DIM", 2, ...from);
  await untilVectors(redis, name, [`${prefix}1`]);
});
