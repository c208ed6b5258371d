/** The sidecar on a real redis-server: requests of ordinary clients, transactions, scripts and stream clients. */

import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { until } from "../harness/serving.ts";

let vstore: Vstore;
let redis: Redis;
let collection: string;
let collections = 0;

const insert = (key: string, ...values: number[]) =>
  redis.call("VSTORE.INSERT", collection, key, "FP32", fp32(...values));
const streamOf = (kind: string) => `vstore:{${collection}}:${kind}`;
const checkpointId = async () => {
  const facts = (await redis.call("VSTORE.INFO", collection)) as string[];
  return facts[facts.indexOf("checkpoint_id") + 1];
};

beforeAll(async () => {
  vstore = await startVstore();
  redis = new Redis(vstore.url, { protocol: 2 });
});

afterAll(async () => {
  redis?.disconnect();
  await vstore?.stop();
});

beforeEach(async () => {
  collection = `c${++collections}`;
  await redis.call("VSTORE.CREATE", collection, "DIM", 2, "METRIC", "L2");
});

test("what was inserted is found", async () => {
  expect(await insert("a", 1, 0)).toBe(1);
  expect(await insert("a", 0, 1)).toBe(0);
  expect(await insert("b", 5, 5)).toBe(1);
  const found = await redis.call("VSTORE.SEARCH", collection, "FP32", fp32(0, 1), "COUNT", 2);
  expect(found).toEqual(["a", "b"]);
});

test("a search sees every write that was sent before it, from other connections too", async () => {
  const other = redis.duplicate();
  for (let i = 0; i < 200; i++) {
    await insert(`k${i}`, i, i);
    const found = await other.call("VSTORE.SEARCH", collection, "FP32", fp32(i, i), "COUNT", 1);
    expect(found).toEqual([`k${i}`]);
  }
  other.disconnect();
});

test("pipelined writes are applied in order", async () => {
  const pipeline = redis.pipeline();
  for (let i = 0; i < 5_000; i++) {
    pipeline.call("VSTORE.INSERT", collection, `k${i % 100}`, "FP32", fp32(i, 0));
  }
  await pipeline.exec();
  expect(await redis.call("VSTORE.CARD", collection)).toBe(100);
  expect(await redis.call("VSTORE.GET", collection, "k99")).toEqual(["4999", "0"]);
});

test("a transaction writes to Redis and to vstore at once", async () => {
  const results = await redis
    .multi()
    .hset("doc:1", "title", "one")
    .call("VSTORE.INSERT", collection, "doc:1", "FP32", fp32(1, 2))
    .exec();
  expect(results![1]![1]).toMatch(/^QUEUED \d+-\d+$/);
  expect(await redis.call("VSTORE.GET", collection, "doc:1")).toEqual(["1", "2"]);
});

test("a search sees what transactions queued before it, however much that is", async () => {
  const multi = redis.multi();
  for (let i = 0; i < 3_000; i++) multi.call("VSTORE.INSERT", collection, `k${i}`, "FP32", fp32(i, 0));
  await multi.exec();
  const found = await redis.call("VSTORE.SEARCH", collection, "FP32", fp32(2_999, 0), "COUNT", 1);
  expect(found).toEqual(["k2999"]);
});

test("a write in a transaction that is refused is reported in the errors stream", async () => {
  await redis
    .multi()
    .call("VSTORE.INSERT", collection, "a", "FP32", fp32(1, 2, 3))
    .exec();
  const read = () => redis.xrange(streamOf("errors"), "-", "+");
  const [[, fields]] = (await until(read, (entries) => entries.length > 0)) as [[string, string[]]];
  expect(fields).toEqual(["req", expect.stringMatching(/^\d+-\d+$/), "cmd", "INSERT", "error", fields[5]]);
  expect(fields[5]).toMatch(/^ERR /);
});

test("a stream client gets its answer in the stream it names, which expires", async () => {
  const answers = `vstore:reply:${collection}`;
  const id = await redis.xadd(
    streamOf("log"),
    "*",
    "cmd",
    "INSERT",
    "reply",
    answers,
    "0",
    collection,
    "1",
    "a",
    "2",
    "FP32",
    "3",
    fp32(1, 2),
  );
  const read = () => redis.xrange(answers, "-", "+");
  const [[, fields]] = (await until(read, (entries) => entries.length > 0)) as [[string, string[]]];
  expect(fields).toEqual(["req", id, "ok", ":1\r\n"]);
  expect(await redis.pttl(answers)).toBeGreaterThan(50_000);
  expect(await redis.call("VSTORE.CARD", collection)).toBe(1);
});

test("a stream client's question leaves nothing behind in the queries stream", async () => {
  const answers = `vstore:reply:${collection}`;
  await redis.xadd(streamOf("queries"), "*", "cmd", "CARD", "reply", answers, "0", collection);
  await until(
    () => redis.xlen(answers),
    (length) => length === 1,
  );
  expect(
    await until(
      () => redis.xlen(streamOf("queries")),
      (length) => length === 0,
    ),
  ).toBe(0);
});

test("an answer is never written over a key that is no stream", async () => {
  const key = `vstore:reply:${collection}`;
  await redis.set(key, "value");
  await redis.xadd(streamOf("queries"), "*", "cmd", "CARD", "reply", key, "0", collection);
  await until(
    () => redis.xlen(streamOf("queries")),
    (length) => length === 0,
  );
  expect(await redis.get(key)).toBe("value");
  expect(await redis.pttl(key)).toBe(-1);
});

test("a stream of an application is neither written to, trimmed nor given an expiry by an entry that names it", async () => {
  const pipeline = redis.pipeline();
  for (let i = 0; i < 5_000; i++) pipeline.xadd("orders", "*", "order", i);
  await pipeline.exec();
  for (const stream of ["log", "queries"])
    await redis.xadd(streamOf(stream), "*", "cmd", "CARD", "reply", "orders", "0", collection);
  await redis.xadd("vstore:control", "*", "cmd", "LIST", "reply", "orders");
  expect(await insert("a", 1, 2)).toBe(1);
  const [[, fields]] = (await until(
    () => redis.xrange(streamOf("errors"), "-", "+"),
    (entries) => entries.length > 0,
  )) as [[string, string[]]];
  expect(fields.at(-1)).toBe("ERR 'reply' must name a stream that begins with vstore:reply:");
  for (const stream of [streamOf("queries"), "vstore:control"])
    await until(
      () => redis.xlen(stream),
      (length) => length === 0,
    );
  expect(await redis.xlen("orders")).toBe(5_000);
  expect(await redis.pttl("orders")).toBe(-1);
});

test.each([
  ["without a command", ["0", "x"]],
  ["of an unknown command", ["cmd", "NONSENSE", "0", "x"]],
  ["that is no write", ["cmd", "SEARCH", "0", "x"]],
  ["for another collection", ["cmd", "DEL", "0", "another", "1", "key"]],
])("an entry %s does not stop the log", async (_, fields) => {
  await redis.xadd(streamOf("log"), "*", ...fields);
  expect(await insert("a", 1, 2)).toBe(1);
  const errors = await until(
    () => redis.xlen(streamOf("errors")),
    (length) => length > 0,
  );
  expect(errors).toBe(1);
});

test("a write in the queries stream is refused", async () => {
  const answers = `vstore:reply:${collection}`;
  await redis.xadd(streamOf("queries"), "*", "cmd", "DEL", "reply", answers, "0", collection, "1", "a");
  const read = () => redis.xrange(answers, "-", "+");
  const [[, fields]] = (await until(read, (entries) => entries.length > 0)) as [[string, string[]]];
  expect(fields.slice(2)).toEqual(["err", expect.stringContaining("does not belong in")]);
});

test("a checkpoint trims the log up to what it covers and no further", async () => {
  await insert("a", 1, 2);
  await redis.call("VSTORE.CHECKPOINT", collection);
  const isShorter = (length: number) => length === 0;
  expect(await until(() => redis.xlen(streamOf("log")), isShorter)).toBe(0);
  const covered = await checkpointId();
  await insert("b", 3, 4);
  for (const end = Date.now() + 2_500; Date.now() < end; await sleep(100)) {
    const length = await redis.xlen(streamOf("log"));
    // One by the schedule may come, and covers more.
    if ((await checkpointId()) !== covered) return;
    expect(length).toBe(1);
  }
});

test("the checkpoints of all collections have one schedule in BullMQ", async () => {
  const schedules = () => redis.zrange("vstore:bull:vstore-checkpoint:repeat", "0", "-1");
  expect(await until(schedules, (names) => names.length === 1)).toEqual(["checkpoint"]);
});

test("dropping a collection removes everything that Redis held of it", async () => {
  await insert("a", 1, 2);
  await redis.call("VSTORE.DROP", collection);
  expect(await redis.exists(streamOf("log"), streamOf("queries"), streamOf("errors"))).toBe(0);
  expect(await redis.hexists("vstore:collections", collection)).toBe(0);
  await expect(insert("a", 1, 2)).rejects.toThrow("NOCOLLECTION");
});

test("a dropped collection may be created again, and is empty", async () => {
  await insert("a", 1, 2);
  await redis.call("VSTORE.DROP", collection);
  await redis.call("VSTORE.CREATE", collection, "DIM", 3);
  expect(await redis.call("VSTORE.CARD", collection)).toBe(0);
});

test("when the log key vanishes, a write is told to try again, and then works", async () => {
  await insert("a", 1, 2);
  await redis.del(streamOf("log"));
  await expect(insert("b", 3, 4)).rejects.toThrow("TRYAGAIN");
  expect(await insert("b", 3, 4)).toBe(1);
  expect(await redis.call("VSTORE.CARD", collection)).toBe(2);
});

test("nothing that was answered stays in the control and queries streams", async () => {
  await redis.call("VSTORE.LIST");
  await redis.call("VSTORE.CARD", collection);
  await redis.call("VSTORE.CARD", "unknown").catch(() => {});
  const left = async () => (await redis.xlen("vstore:control")) + (await redis.xlen(streamOf("queries")));
  expect(await until(left, (length) => length === 0)).toBe(0);
});

test("the questions of many connections at once are all answered", async () => {
  for (let i = 0; i < 20; i++) await insert(`k${i}`, i, 1);
  const clients = Array.from({ length: 20 }, () => redis.duplicate());
  const ask = async (client: Redis, key: string) => {
    for (let i = 0; i < 50; i++) {
      expect(await client.call("VSTORE.SEARCH", collection, "KEY", key, "COUNT", 1)).toEqual([key]);
    }
  };
  await Promise.all(clients.map((client, i) => ask(client, `k${i}`)));
  for (const client of clients) client.disconnect();
});
