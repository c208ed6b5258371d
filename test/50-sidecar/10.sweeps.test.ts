/** Keys that expire, on the running program: nothing finds them, and the sweep removes them through the log. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { sweepKeysMax } from "../../src/commands/internal/sweep.ts";
import { fp32 } from "../harness/fp32.ts";
import { until } from "../harness/serving.ts";

const dataDir = mkdtempSync(join(tmpdir(), "vstore-test-"));
let server: RedisServer;
let sidecar: SidecarProcess;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url, { protocol: 2 });
  await serve();
});
afterAll(async () => {
  redis.disconnect();
  await sidecar.stop();
  await server.stop();
  rmSync(dataDir, { recursive: true });
});
beforeEach(async () => {
  await redis.call("VSTORE.DROP", "c").catch(() => {});
  await redis.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
});

async function serve(): Promise<void> {
  // No checkpoint, so that a restart replays everything.
  sidecar = startSidecar({ redisUrl: server.url, dataDir, args: ["--checkpoint-interval-ms", "3600000"] });
  await sidecar.waitReady();
}

type Info = Record<"vectors" | "expiring" | "expired" | "slots" | "dead_slots" | "applied_id", string>;

async function info(): Promise<Info> {
  const flat = (await redis.call("VSTORE.INFO", "c")) as string[];
  return Object.fromEntries(
    flat.flatMap((name, i) => (i % 2 === 0 ? [[name, String(flat[i + 1])]] : [])),
  ) as Info;
}

const insert = (key: string, ...options: (string | number)[]) =>
  redis.call("VSTORE.INSERT", "c", key, "FP32", fp32(1, 2), ...options);
/** Entries that were ever appended to the log, trimmed or not. */
async function appended(): Promise<number> {
  const facts = (await redis.xinfo("STREAM", "vstore:{c}:log")) as unknown[];
  return Number(facts[facts.indexOf("entries-added") + 1]);
}
const swept = () => until(info, ({ expiring }) => expiring === "0");

async function insertMany(count: number, milliseconds: number): Promise<void> {
  const pipeline = redis.pipeline();
  for (let i = 0; i < count; i++) {
    pipeline.call("VSTORE.INSERT", "c", `k${i}`, "FP32", fp32(i, i), "PX", milliseconds);
  }
  await pipeline.exec();
}

test("expired keys vanish at their time, and are swept soon after", async () => {
  await insert("stays");
  await insertMany(2_500, 1_500);
  expect(await info()).toMatchObject({ slots: "2501" });
  await until(
    () => redis.call("VSTORE.CARD", "c"),
    (card) => card === 1,
  );
  expect(await redis.call("VSTORE.SEARCH", "c", "FP32", fp32(3, 3), "COUNT", 10)).toEqual(["stays"]);
  expect(await swept()).toMatchObject({ vectors: "1", expired: "0", dead_slots: "2500" });
  const inserts = 2_501;
  expect((await appended()) - inserts).toBeGreaterThanOrEqual(2_500 / sweepKeysMax);
});

test("what was swept stays so after a kill and a replay of the log", async () => {
  await insertMany(300, 400);
  await insert("late", "EX", 100);
  await insert("stays", "PX", 400);
  await redis.call("VSTORE.PERSIST", "c", "stays");
  const before = await until(info, ({ expiring }) => expiring === "1");
  await sidecar.kill();
  await serve();
  expect(await info()).toMatchObject({ ...before, vectors: "2", slots: "302", dead_slots: "300" });
  expect(await redis.call("VSTORE.TTL", "c", "stays")).toBe(-1);
  expect(await redis.call("VSTORE.TTL", "c", "late")).toBeGreaterThan(50);
});

test("keys that expire while no sidecar is there are gone when it is back, and are swept", async () => {
  await insertMany(20, 500);
  await insert("stays");
  await sidecar.kill();
  await delay(600);
  await serve();
  expect(await redis.call("VSTORE.CARD", "c")).toBe(1);
  expect(await swept()).toMatchObject({ vectors: "1", dead_slots: "20" });
});

test("a write that was sent in time, and is applied late, keeps its key alive", async () => {
  await insert("k", "PX", 300);
  process.kill(sidecar.pid, "SIGSTOP");
  const persisted = redis.call("VSTORE.PERSIST", "c", "k");
  await delay(600);
  process.kill(sidecar.pid, "SIGCONT");
  expect(await persisted).toBe(1);
  expect(await redis.call("VSTORE.TTL", "c", "k")).toBe(-1);
  expect(await redis.call("VSTORE.CARD", "c")).toBe(1);
});

test("who uses no expiry is not bothered: nothing is scheduled, nothing is written", async () => {
  await insert("k");
  const schedule = "vstore:bull:vstore-sweep:repeat";
  await until(
    () => redis.zcard(schedule),
    (count) => count === 0,
  );
  const { applied_id } = await info();
  await delay(2_500);
  expect(await redis.zcard(schedule)).toBe(0);
  expect((await info()).applied_id).toBe(applied_id);
  await insert("k", "EX", 100);
  await until(
    () => redis.zcard(schedule),
    (count) => count === 1,
  );
});

test("a dropped collection with expired keys does not come back by its sweep", async () => {
  await insertMany(50, 1);
  await redis.call("VSTORE.DROP", "c");
  await delay(1_500);
  expect(await redis.exists("vstore:{c}:log")).toBe(0);
});
