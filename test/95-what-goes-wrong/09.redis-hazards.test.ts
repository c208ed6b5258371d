/**
 * What may happen to the keys in Redis behind the sidecar's back. The files have what was applied; nothing of it goes.
 */

import { copyFileSync, cpSync } from "node:fs";
import { join as joinPath } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { afterEach, expect, test } from "vitest";
import { type RedisOptions, type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, served, until } from "../harness/serving.ts";

const log = "vstore:{c}:log";

let server: RedisServer;
let redis: Redis;
let sidecar: SidecarProcess;
let sidecars: SidecarProcess[] = [];

afterEach(async () => {
  redis.disconnect();
  for (const each of sidecars) await each.kill();
  sidecars = [];
  await server.stop();
});

/** A sidecar whose schedule makes no checkpoint during a test. */
async function join(dataDir = temporaryDirectory()): Promise<void> {
  const env = { VSTORE_CHECKPOINT_INTERVAL_MS: "3600000" };
  sidecar = startSidecar({ redisUrl: server.url, dataDir, env });
  sidecars.push(sidecar);
  await sidecar.waitReady();
}

async function start(count: number, options: RedisOptions = {}): Promise<void> {
  server = await startRedis(options);
  redis = connectClient(server.url);
  await join();
  await redis.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
  await sleep(500); // BullMQ runs a new schedule once at the beginning
  for (let i = 0; i < count; i++) await insert(i);
}

const vector = (i: number) => fp32(i, 1);
const insert = (i: number) => served(redis, "VSTORE.INSERT", "c", `k${i}`, "FP32", vector(i));

async function expectAll(count: number): Promise<void> {
  expect(await served(redis, "VSTORE.CARD", "c")).toBe(count);
  for (let i = 0; i < count; i += 3)
    expect(await redis.call("VSTORE.GET", "c", `k${i}`)).toEqual([String(i), "1"]);
}

/** Redis forgets nothing more: the sidecar's process is killed, and another one starts from the files and the log. */
async function crash(): Promise<void> {
  await sidecar.kill();
  await join(sidecar.dataDir);
}

async function logLosses(): Promise<number> {
  const info = (await served(redis, "VSTORE.INFO", "c")) as (string | number)[];
  return info[info.indexOf("log_losses") + 1] as number;
}

/** Of the log in Redis: that it is there, and not behind the files. */
async function expectReported(): Promise<void> {
  await sidecar.waitLog("Redis has lost (a part of) a log");
  await until(logLosses, (losses) => losses >= 1);
  expect(await redis.exists(log)).toBe(1);
}

test("eviction under allkeys-lru takes the log: reported, a checkpoint at once, nothing applied is lost", async () => {
  await start(30, { args: ["--maxmemory-policy", "allkeys-lru"] });
  await redis.config("SET", "maxmemory", 1);
  await until(
    () => redis.exists(log),
    (there) => there === 0,
  );
  expect(Number(/evicted_keys:(\d+)/.exec(await redis.info("stats"))![1])).toBeGreaterThan(0);
  await redis.config("SET", "maxmemory", 0);
  await expectReported();
  await crash();
  await expectAll(30);
  await insert(30);
  await expectAll(31);
});

test("DEL of the log: reported without waiting for a write, a checkpoint at once, nothing applied is lost", async () => {
  await start(30);
  await redis.del(log);
  await expectReported();
  await crash();
  await expectAll(30);
  await insert(30);
  await expectAll(31);
});

test("RENAME of the log, and back: nothing is lost, nothing is applied twice", async () => {
  await start(30);
  await redis.rename(log, "elsewhere");
  await expectReported();
  await insert(30);
  await redis.call("VSTORE.DEL", "c", "k30");
  await redis.rename("elsewhere", log);
  await expectAll(30);
  await insert(30);
  await crash();
  await expectAll(31);
});

test.each<[string, () => Promise<unknown>]>([
  ["COPY … REPLACE", () => redis.copy("other", log, "REPLACE")],
  ["RESTORE … REPLACE", async () => redis.restore(log, 0, (await redis.dumpBuffer("other"))!, "REPLACE")],
])(
  "another stream in the log's place by %s: reported, a checkpoint at once, nothing applied is lost",
  async (_, put) => {
    await start(30);
    await redis.xadd("other", "5-5", "field", "value");
    await put();
    await expectReported();
    await crash();
    await expectAll(30);
    await insert(30);
    await expectAll(31);
  },
);

test.each(["FLUSHALL", "FLUSHDB"])("%s: nothing applied is lost", async (command) => {
  await start(30);
  await redis.call(command);
  await expectReported();
  await crash();
  await expectAll(30);
  await insert(30);
  await expectAll(31);
});

test("after a flush, files that lack what the log no longer has are refused", async () => {
  await start(10);
  await redis.call("VSTORE.CHECKPOINT", "c");
  const stale = temporaryDirectory();
  await sidecar.stop();
  cpSync(sidecar.dataDir, stale, { recursive: true });
  await join(sidecar.dataDir);
  for (let i = 10; i < 20; i++) await insert(i);
  await redis.flushall();
  await expectReported();
  await sidecar.stop();
  const late = startSidecar({ redisUrl: server.url, dataDir: stale });
  sidecars.push(late);
  await late.waitLog("begins after");
  await late.kill();
  await join(sidecar.dataDir);
  await expectAll(20);
});

test("DEBUG RELOAD under writes loses nothing", async () => {
  await start(0);
  let written = 0;
  let isOver = false;
  const writing = (async () => {
    for (; !isOver; written++) await insert(written);
  })();
  for (let i = 0; i < 5; i++) {
    await sleep(150);
    expect(await redis.debug("RELOAD")).toBe("OK");
  }
  isOver = true;
  await writing;
  expect(written).toBeGreaterThan(50);
  await crash();
  await expectAll(written);
});

test("BGREWRITEAOF under writes, then a crash of both: nothing acknowledged is lost", async () => {
  await start(0, { appendonly: "always" });
  let written = 0;
  let isOver = false;
  const writing = (async () => {
    for (; !isOver; written++) await insert(written);
  })();
  for (let i = 0; i < 3; i++) {
    await sleep(200);
    await redis.bgrewriteaof();
    await until(
      () => redis.info("persistence"),
      (text) => text.includes("aof_rewrite_in_progress:0"),
    );
  }
  isOver = true;
  await writing;
  await sidecar.kill();
  await server.kill();
  await server.restart();
  await join(sidecar.dataDir);
  await expectAll(written);
  await insert(written);
  await expectAll(written + 1);
});

test("a Redis restored from an older snapshot: detected, nothing lost, nothing twice, new writes work", async () => {
  await start(10);
  await redis.save();
  const snapshot = joinPath(server.directory, "dump.rdb");
  copyFileSync(snapshot, joinPath(server.directory, "older.rdb"));
  for (let i = 10; i < 20; i++) await insert(i);
  await redis.call("VSTORE.DEL", "c", "k0"); // the snapshot's log has its INSERT
  await redis.call("VSTORE.CHECKPOINT", "c");
  for (let i = 20; i < 30; i++) await insert(i);
  await server.kill();
  copyFileSync(joinPath(server.directory, "older.rdb"), snapshot);
  await server.restart();
  await sidecar.waitLog("Redis has lost (a part of) a log");
  expect(await served(redis, "VSTORE.CARD", "c")).toBe(29);
  expect(await redis.call("VSTORE.EXISTS", "c", "k0")).toBe(0);
  await insert(0);
  await crash();
  await expectAll(30);
});

test("a log whose ids are far in the future goes on from there, also after a restart of Redis", async () => {
  await start(5, { appendonly: "always" });
  await redis.call("XSETID", log, "99999999999999-0");
  for (let i = 5; i < 10; i++) await insert(i);
  await redis.call("VSTORE.CREATE", "later", "DIM", 2);
  await server.restart();
  for (let i = 10; i < 15; i++) await insert(i);
  expect(await redis.call("VSTORE.CARD", "later")).toBe(0);
  await crash();
  await expectAll(15);
});
