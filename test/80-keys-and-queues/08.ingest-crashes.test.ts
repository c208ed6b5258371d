/** Jobs of the ingest queue while something fails: none is lost, none fails for it, and no vector is there twice. */
import { readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { afterEach, expect, test, vi } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { type RedisOptions, type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fillUp, MIB, mountDisk, mountFault } from "../harness/disk.ts";
import { ingest, openQueue } from "../harness/ingest-queue.ts";
import { connectClient, served, until } from "../harness/serving.ts";

// Jobs whose sidecar died are waited for several times, on a machine that may be busy.
vi.setConfig({ testTimeout: 180_000 });

const DIMENSIONS = 32;
const ITEMS = 500;

let server: RedisServer;
let redis: Redis;
let queue: Queue;
let sidecars: SidecarProcess[] = [];

afterEach(async () => {
  await queue.close();
  redis.disconnect();
  for (const sidecar of sidecars) await sidecar.kill();
  sidecars = [];
  await server.stop();
});

function join(dataDir: string, env: Record<string, string> = {}): SidecarProcess {
  const sidecar = startSidecar({ redisUrl: server.url, dataDir, env });
  sidecars.push(sidecar);
  return sidecar;
}

async function start(
  env: Record<string, string> = {},
  options: RedisOptions = {},
  dataDir = temporaryDirectory(),
): Promise<SidecarProcess> {
  server = await startRedis(options);
  redis = connectClient(server.url);
  queue = openQueue(server.url);
  const sidecar = join(dataDir, env);
  await sidecar.waitReady();
  await redis.call("VSTORE.CREATE", "c", "DIM", DIMENSIONS, "METRIC", "L2");
  return sidecar;
}

interface Item {
  key: string;
  vector: string;
}

function randomJobs(count: number): { collection: string; items: Item[] }[] {
  const random = generator(testSeed());
  const item = (i: number): Item => {
    const vector = Buffer.from(randomVector(random, DIMENSIONS).buffer).toString("base64");
    return { key: `k${i}`, vector };
  };
  return Array.from({ length: count }, (_, job) => ({
    collection: "c",
    items: Array.from({ length: ITEMS }, (_, i) => item(job * ITEMS + i)),
  }));
}

const addAll = (jobs: object[]) => queue.addBulk(jobs.map((data) => ({ name: "items", data })));
const completed = (least: number) =>
  until(
    () => queue.getCompletedCount(),
    (count) => count >= least,
    60_000,
  );

async function expectVectors(jobs: { items: Item[] }[]): Promise<void> {
  expect(await queue.getJobCounts("completed", "failed", "wait", "active", "delayed")).toEqual({
    ...{ completed: jobs.length, failed: 0 },
    ...{ wait: 0, active: 0, delayed: 0 },
  });
  const items = jobs.flatMap((job) => job.items);
  expect(await served(redis, "VSTORE.CARD", "c")).toBe(items.length);
  for (let at = 0; at < items.length; at += 97) {
    const { key, vector } = items[at]!;
    const raw = (await redis.callBuffer("VSTORE.GET", "c", key, "RAW")) as Buffer;
    expect(raw.toString("base64")).toBe(vector);
  }
}

/**
 * Jobs come in bursts, because of the limit on those begun in a second: it is halted again and again until some are
 * under way.
 */
async function killAtWork(sidecar: SidecarProcess): Promise<void> {
  const halted = async () => {
    process.kill(sidecar.pid, "SIGCONT");
    await sleep(10);
    process.kill(sidecar.pid, "SIGSTOP");
    return queue.getActiveCount();
  };
  await until(halted, (count) => count > 0);
  await sidecar.kill();
}

test("the sidecar is killed twice in the middle of 100 jobs: all complete, every vector is there once", async () => {
  const env = { VSTORE_INGEST_JOBS_PER_SECOND: "50", VSTORE_INGEST_BATCH_ITEMS: "50" };
  const sidecar = await start(env);
  const jobs = randomJobs(100);
  await addAll(jobs);
  await completed(10);
  await killAtWork(sidecar);
  const second = join(sidecar.dataDir, env);
  await completed(40);
  await second.kill();
  expect(await queue.getCompletedCount()).toBeLessThan(100);
  join(sidecar.dataDir, env);
  await completed(100);
  await expectVectors(jobs);
});

test("a finished job survives a kill of the sidecar, and of Redis with appendfsync always", async () => {
  const sidecar = await start({}, { appendonly: "always" });
  const jobs = randomJobs(4);
  for (const job of jobs) await ingest(queue, job);
  await sidecar.kill();
  await server.kill();
  await server.restart();
  await join(sidecar.dataDir).waitReady();
  await expectVectors(jobs);
});

test("jobs go on after Redis was killed and restarted under a living sidecar", async () => {
  await start({ VSTORE_INGEST_JOBS_PER_SECOND: "20" }, { appendonly: "always" });
  const jobs = randomJobs(30);
  await addAll(jobs);
  await completed(5);
  await server.kill();
  await server.restart();
  await completed(30);
  await expectVectors(jobs);
});

test("a stop in order leaves no job half done: each has completed or waits, and the next sidecar goes on at once", async () => {
  const env = { VSTORE_INGEST_JOBS_PER_SECOND: "50", VSTORE_INGEST_BATCH_ITEMS: "50" };
  const sidecar = await start(env);
  const jobs = randomJobs(50);
  await addAll(jobs);
  await completed(10);
  await sidecar.stop();
  const { wait, active, completed: done } = await queue.getJobCounts("wait", "active", "completed");
  expect(active).toBe(0);
  expect(wait).toBeGreaterThan(0);
  expect(done! + wait!).toBe(50);
  await join(sidecar.dataDir, env).waitReady();
  await completed(50);
  await expectVectors(jobs);
});

test("settings bound the jobs begun in a second, and those under way at the same time", async () => {
  await start({ VSTORE_INGEST_JOBS_PER_SECOND: "10", VSTORE_INGEST_CONCURRENCY: "2" });
  const began = performance.now();
  const jobs = randomJobs(30);
  await addAll(jobs);
  const active: number[] = [];
  await until(
    async () => {
      active.push(await queue.getActiveCount());
      return queue.getCompletedCount();
    },
    (count) => count === 30,
  );
  expect(performance.now() - began).toBeGreaterThan(2_000);
  expect(Math.max(...active)).toBeLessThanOrEqual(2);
  const list = (await redis.client("LIST")) as string;
  expect(list.split("name=vstore-ingest ").length - 1).toBeLessThanOrEqual(2);
});

test("a full log makes the jobs wait, and none fails", async () => {
  const sidecar = await start({ VSTORE_CHECKPOINT_INTERVAL_MS: "3600000" });
  await redis.config("SET", "vstore.log-max-bytes", 1024 * 1024);
  const jobs = randomJobs(40); // 64 KB each
  await addAll(jobs);
  await sidecar.waitLog("ingestion waits");
  expect(sidecar.stderr).toContain("BUSY");
  expect(await queue.getCompletedCount()).toBeLessThan(40);
  await until(
    async () => {
      await redis.call("VSTORE.CHECKPOINT", "c");
      return queue.getCompletedCount();
    },
    (count) => count === 40,
  );
  await expectVectors(jobs);
});

test("a Redis that has no memory left makes the jobs wait, and none fails", async () => {
  const sidecar = await start({ VSTORE_INGEST_JOBS_PER_SECOND: "20" });
  const jobs = randomJobs(30);
  await addAll(jobs);
  await completed(5);
  await redis.config("SET", "maxmemory", 1);
  const before = cpuMs(sidecar.pid);
  await sleep(3_000);
  expect(cpuMs(sidecar.pid) - before).toBeLessThan(1_500);
  expect(await queue.getCompletedCount()).toBeLessThan(30);
  await redis.config("SET", "maxmemory", 0);
  await completed(30);
  await expectVectors(jobs);
});

test.skipIf(mountFault !== undefined)("a full disk makes the jobs wait, and none fails", async () => {
  const dataDir = mountDisk(64 * MIB);
  const sidecar = await start({}, {}, dataDir);
  const jobs = randomJobs(60); // 64 KB each
  await addAll(jobs.slice(0, 5));
  await completed(5);
  const ballast = fillUp(dataDir);
  await addAll(jobs.slice(5));
  await sidecar.waitLog("ingestion waits");
  expect(sidecar.stderr).toContain("FULL the disk of the data directory is full");
  await sleep(3_000);
  expect(await queue.getCompletedCount()).toBeLessThan(60);
  expect(await queue.getFailedCount()).toBe(0);
  rmSync(ballast);
  await completed(60);
  await expectVectors(jobs);
});

test("a connection that is closed in the middle of a job costs a repetition", async () => {
  await start({ VSTORE_INGEST_JOBS_PER_SECOND: "20", VSTORE_INGEST_BATCH_ITEMS: "50" });
  const jobs = randomJobs(30);
  await addAll(jobs);
  for (const count of [5, 10, 15]) {
    await completed(count);
    const list = (await redis.client("LIST")) as string;
    const ids = [...list.matchAll(/^id=(\d+) .*name=vstore-ingest /gm)].map((match) => match[1]!);
    expect(ids.length).toBeGreaterThan(0);
    for (const id of ids) await redis.client("KILL", "ID", id);
  }
  await completed(30);
  await expectVectors(jobs);
});

test("a sidecar that stands by consumes nothing, until it leads", async () => {
  const first = await start();
  const second = join(first.dataDir);
  await second.waitLog("standing by");
  const consumers = async () =>
    ((await redis.client("LIST")) as string).split("name=vstore-bullmq-ingest").length - 1;
  const before = await until(consumers, (count) => count > 0);
  const jobs = randomJobs(10);
  for (const job of jobs.slice(0, 5)) await ingest(queue, job);
  expect(await consumers()).toBe(before);
  process.kill(first.pid, "SIGSTOP");
  await addAll(jobs.slice(5));
  await sleep(1_500);
  expect(await queue.getCompletedCount()).toBe(5);
  await first.kill();
  await second.waitReady();
  await completed(10);
  await expectVectors(jobs);
});

/** User and system time of a process so far. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  const ticksPerSecond = 100;
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond;
}
