/** The queue vstore-ingest: what any BullMQ producer may send, and what it gets back. */
import { readFile } from "node:fs/promises";
import type { Queue } from "bullmq";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { base64, ingest, openQueue } from "../harness/ingest-queue.ts";
import { until } from "../harness/serving.ts";

const JOB_BYTES = 1_000_000;
/** As documented in docs/ingestion.md. */
const failedJobsMax = 10_000;
const completedJobsMax = 1_000;

let vstore: Vstore;
let redis: Redis;
let queue: Queue;
let collection = "";
let collections = 0;

beforeAll(async () => {
  const env = { VSTORE_INGEST_BATCH_ITEMS: "100", VSTORE_INGEST_JOB_BYTES: String(JOB_BYTES) };
  vstore = await startVstore({}, { env });
  redis = new Redis(vstore.url, { protocol: 2 });
  queue = openQueue(vstore.url);
});
afterAll(async () => {
  await queue.close();
  redis.disconnect();
  await vstore.stop();
});
beforeEach(async () => {
  collection = `c${++collections}`;
  await redis.call("VSTORE.CREATE", collection, "DIM", 2, "METRIC", "L2");
});

const get = (key: string) => redis.call("VSTORE.GET", collection, key);
const getAttributes = (key: string) => redis.call("VSTORE.GETATTR", collection, key);
const keyOf = (id: string | undefined) => `vstore:bull:vstore-ingest:${id}`;

test("a job's vectors and attributes are there when it has completed", async () => {
  const items = [
    { key: "a", vector: [1, 2], attributes: { n: 1 } },
    { key: "b", vector: base64(3, 4) },
    { key: "ключ", vector: base64(5, 6) },
  ];
  expect(await ingest(queue, { collection, items })).toEqual({
    inserted: 3,
    updated: 0,
    failedCount: 0,
    failed: [],
  });
  expect(await get("a")).toEqual(["1", "2"]);
  expect(await getAttributes("a")).toBe('{"n":1}');
  expect(await get("b")).toEqual(["3", "4"]);
  expect(await get("ключ")).toEqual(["5", "6"]);
});

test("a bad item fails by itself, with its index and reason, and the others go in", async () => {
  const items = [
    { key: "a", vector: [1, 2] },
    { key: "b", vector: [1] },
    { key: "", vector: [1, 2] },
    { key: "d", vector: base64(3, 4) },
    { key: "e", vector: "?" },
  ];
  expect(await ingest(queue, { collection, items })).toEqual({
    inserted: 2,
    updated: 0,
    failedCount: 3,
    failed: [
      { index: 1, reason: "ERR 'vector' must have 2 elements, got 1" },
      { index: 2, reason: "ERR 'key' must be 1 to 1024 bytes, got 0" },
      { index: 4, reason: "ERR 'vector' must be an array of numbers, or base64 of little-endian float32" },
    ],
  });
  expect(await redis.call("VSTORE.CARD", collection)).toBe(2);
});

test("the result names the first hundred bad items and counts the others", async () => {
  const result = await ingest(queue, { collection, items: Array.from({ length: 150 }, () => 0) });
  expect(result).toMatchObject({ inserted: 0, failedCount: 150 });
  expect(result.failed.map((each) => each.index)).toEqual(Array.from({ length: 100 }, (_, i) => i));
});

test("items without attributes keep what the key has; a key that is twice in a job gets its last vector", async () => {
  await ingest(queue, { collection, items: [{ key: "a", vector: [1, 1], attributes: { n: 1 } }] });
  const items = [
    { key: "b", vector: [1, 0] },
    { key: "b", vector: [2, 0], attributes: { n: 2 } },
    { key: "a", vector: [2, 2] },
    { key: "b", vector: [3, 0] },
  ];
  expect(await ingest(queue, { collection, items })).toMatchObject({ inserted: 1, updated: 3 });
  expect(await get("a")).toEqual(["2", "2"]);
  expect(await getAttributes("a")).toBe('{"n":1}');
  expect(await get("b")).toEqual(["3", "0"]);
  expect(await getAttributes("b")).toBe('{"n":2}');
});

test("a job that runs twice has the effect of one", async () => {
  const job = { collection, items: Array.from({ length: 10 }, (_, i) => ({ key: `k${i}`, vector: [i, 1] })) };
  expect(await ingest(queue, job)).toMatchObject({ inserted: 10, updated: 0 });
  expect(await ingest(queue, job)).toMatchObject({ inserted: 0, updated: 10 });
  expect(await redis.call("VSTORE.CARD", collection)).toBe(10);
  expect(await get("k7")).toEqual(["7", "1"]);
});

test("a job that takes several MINSERTs shows its progress", async () => {
  const items = Array.from({ length: 350 }, (_, i) => ({ key: `k${i}`, vector: [i, 1] }));
  expect(await ingest(queue, { collection, items })).toMatchObject({ inserted: 350 });
  const events = await redis.xrange("vstore:bull:vstore-ingest:events", "-", "+");
  const fields = events.map(([, flat]) => flat).filter((flat) => flat.includes("progress"));
  const progress = fields.map((flat) => flat[flat.indexOf("data") + 1]);
  expect(progress.slice(-3)).toEqual(["25", "50", "75"]); // those before are of earlier jobs
});

test.each([
  ["that is no object", 5, "ERR 'job' must be an object {collection, items}"],
  ["without items", { collection: "c1" }, "ERR 'items' must be an array"],
  ["with a misspelt member", { colection: "c1", items: [1] }, "ERR 'collection' must be a string"],
  ["for a collection that is not there", { collection: "no", items: [1] }, "NOCOLLECTION no collection 'no'"],
  ["of too many bytes", { collection: "c1", items: ["x".repeat(JOB_BYTES)] }, "LIMIT the job has 10000"],
  ["of too many items", { collection: "c1", items: Array(10_001).fill(0) }, "LIMIT the job has 10001 items"],
])("a job %s fails at once, with its reason, and is not retried", async (_, data, reason) => {
  const { id } = await queue.add("items", data, { attempts: 5, backoff: 1 });
  await until(
    () => queue.getJobState(id!),
    (state) => state === "failed",
  );
  const job = await queue.getJob(id!);
  expect(job!.failedReason).toContain(reason);
  expect(job!.attemptsMade).toBe(1);
});

test("a job whose data is no JSON fails too, and the queue goes on", async () => {
  await queue.pause();
  const { id } = await queue.add("items", { collection, items: [{ key: "a", vector: [1, 2] }] });
  await redis.hset(keyOf(id), "data", "{not JSON");
  await queue.resume();
  await until(
    () => queue.getJobState(id!),
    (state) => state === "failed",
  );
  expect(await redis.hget(keyOf(id), "failedReason")).toBe("ERR the job's data must be JSON");
  expect(await ingest(queue, { collection, items: [{ key: "a", vector: [1, 2] }] })).toMatchObject({
    inserted: 1,
  });
});

test("a job that failed for want of its collection keeps its items, and can be retried", async () => {
  const items = [{ key: "a", vector: [1, 2] }];
  await expect(ingest(queue, { collection: "later", items })).rejects.toThrow("NOCOLLECTION");
  await redis.call("VSTORE.CREATE", "later", "DIM", 2);
  const job = (await queue.getFailed(0, 0))[0]!;
  await job.retry();
  await until(
    () => job.getState(),
    (state) => state === "completed",
  );
  expect(await redis.call("VSTORE.CARD", "later")).toBe(1);
});

test("a finished job leaves its vectors to the store, and a large malformed one what it was", async () => {
  const { id } = await queue.add("items", { collection, items: [{ key: "a", vector: [1, 2] }] });
  const data = () => redis.hget(keyOf(id), "data");
  await until(data, (text) => text === JSON.stringify({ collection, items: 1 }));
  const large = await queue.add("items", { collection, items: ["x".repeat(JOB_BYTES)] });
  const left = () => redis.hget(keyOf(large.id), "data");
  await until(left, (text) => /^\{"bytes":\d+\}$/.test(text!));
});

test("completed jobs stay visible up to a number", async () => {
  const jobs = Array.from({ length: completedJobsMax + 100 }, (_, i) => ({
    name: "items",
    data: { collection, items: [{ key: `k${i}`, vector: [i, 1] }] },
  }));
  await queue.addBulk(jobs);
  await until(
    () => redis.call("VSTORE.CARD", collection),
    (count) => count === jobs.length,
  );
  await until(
    () => queue.getJobCounts("active", "wait", "completed"),
    ({ active, wait, completed }) => active === 0 && wait === 0 && completed === completedJobsMax,
  );
});

test("10,000 malformed jobs are 10,000 clear failures; memory stays flat and the service unharmed", async () => {
  await queue.obliterate({ force: true });
  await redis.call("VSTORE.INSERT", collection, "a", "FP32", fp32(1, 2));
  const usedMemory = async () => Number(/used_memory:(\d+)/.exec(await redis.info("memory"))![1]);
  const residentMb = async () =>
    Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${vstore.sidecar.pid}/status`, "utf8"))![1]) / 1024;
  const fail = async (count: number) => {
    const data = { collection, items: "none" };
    for (let at = 0; at < count; at += 1_000) {
      await queue.addBulk(Array.from({ length: 1_000 }, () => ({ name: "items", data })));
      expect(await redis.call("VSTORE.CARD", collection)).toBe(1);
    }
    await until(
      () => queue.getJobCounts("wait", "active"),
      ({ wait, active }) => wait === 0 && active === 0,
      120_000,
    );
    return { redis: await usedMemory(), sidecar: await residentMb() };
  };
  const first = await fail(failedJobsMax);
  expect(await queue.getFailedCount()).toBe(failedJobsMax);
  const reasons = new Set((await queue.getFailed(0, -1)).map((job) => job.failedReason));
  expect([...reasons]).toEqual(["ERR 'items' must be an array"]);
  const second = await fail(3_000);
  expect(await queue.getFailedCount()).toBe(failedJobsMax);
  expect(second.redis / first.redis).toBeLessThan(1.02);
  expect(second.sidecar - first.sidecar).toBeLessThan(64);
  expect(await ingest(queue, { collection, items: [{ key: "b", vector: [1, 2] }] })).toMatchObject({
    inserted: 1,
  });
  expect(vstore.sidecar.stderr).not.toContain("ingestion failed");
}, 300_000);

test("nothing consumes a queue that does not exist, and the first job of one is found", async () => {
  const own = await startVstore();
  const client = new Redis(own.url, { protocol: 2 });
  try {
    await client.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
    await until(
      async () => (await client.info("commandstats")).match(/cmdstat_exists:calls=(\d+)/)?.[1] ?? "0",
      (looks) => Number(looks) > 1,
    );
    expect(await client.client("LIST")).not.toContain("name=vstore-bullmq-ingest");
    const first = openQueue(own.url);
    const result = await ingest(first, { collection: "c", items: [{ key: "a", vector: [1, 2] }] });
    await first.close();
    expect(result).toMatchObject({ inserted: 1 });
    expect(await client.client("LIST")).toContain("name=vstore-bullmq-ingest");
  } finally {
    client.disconnect();
    await own.stop();
  }
});
