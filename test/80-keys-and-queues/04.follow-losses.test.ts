/** Vectors stay in step with the keys whatever happens to Redis, its data, the logs and the sidecar. */
import { copyFileSync, statSync, truncateSync } from "node:fs";
import { join as joinPath } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { afterEach, describe, expect, test } from "vitest";
import { modulePath, type RedisOptions, type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { isRedis8 } from "../../harness/server-program.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import {
  entriesOf,
  infoOf,
  looksOf,
  redisKeys,
  untilInStep,
  untilVectors,
  untilVectorsOf,
} from "../harness/following.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, served, until } from "../harness/serving.ts";

const log = "vstore:{h}:log";

let server: RedisServer;
let redis: Redis;
let sidecar: SidecarProcess;
let dataDir: string;
const others: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  redis.disconnect();
  for (const end of others.splice(0)) await end();
  await sidecar.kill();
  await server.stop();
});

async function join(): Promise<void> {
  const env = { VSTORE_CHECKPOINT_INTERVAL_MS: "3600000" };
  sidecar = startSidecar({ redisUrl: server.url, dataDir, env });
  await sidecar.waitReady();
}

/** "p" follows p:, "h" takes its vectors from the hashes h:, each with `count` keys; "p" has one vector beside them. */
async function start(count: number, options: RedisOptions = {}): Promise<void> {
  server = await startRedis(options);
  redis = connectClient(server.url);
  dataDir = temporaryDirectory();
  await join();
  await redis.call("VSTORE.CREATE", "p", "DIM", 2, "METRIC", "L2", "FOLLOW", "PREFIX", "p:");
  const from = ["FOLLOW", "PREFIX", "h:", "FROM", "HASH", "FIELD", "v"];
  await redis.call("VSTORE.CREATE", "h", "DIM", 2, "METRIC", "L2", ...from);
  await redis.call("VSTORE.INSERT", "p", "beside", "FP32", fp32(0, 0));
  for (const each of ["p", "h"]) await untilInStep(redis, each);
  for (let i = 0; i < count; i++) await write(i);
  await sleep(500); // BullMQ runs a new schedule once at the beginning, and that trims the log
  await inStep();
}

async function write(i: number): Promise<void> {
  const pair = redis.multi().set(`p:${i}`, "value").call("VSTORE.INSERT", "p", `p:${i}`, "FP32", fp32(i, 1));
  await pair.hset(`h:${i}`, "v", fp32(i, 1)).exec();
}

/** Vectors are those of the keys that Redis has, and "beside". */
async function inStep(): Promise<void> {
  await untilVectorsOf(redis, "p", async () => ["beside", ...(await redisKeys(redis, "p:"))]);
  await untilVectorsOf(redis, "h", () => redisKeys(redis, "h:"));
  for (const each of ["p", "h"]) await untilInStep(redis, each);
}

const looks = () => looksOf(sidecar);

describe("a flush", () => {
  test.each(["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC", "SWAPDB 0 1"])(
    "%s: no followed vector stays",
    async (flush) => {
      await start(20);
      const [command, ...args] = flush.split(" ") as [string, ...string[]];
      await redis.call(command, ...args);
      await redis.hset("h:new", "v", fp32(7, 7));
      await untilVectors(redis, "p", ["beside"]);
      await untilVectors(redis, "h", ["h:new"]);
      await write(1);
      await redis.del("h:new");
      await inStep();
      expect(await redis.call("VSTORE.GET", "p", "p:1")).toEqual(["1", "1"]);
    },
  );

  test("while no sidecar is there: the same", async () => {
    await start(20);
    await sidecar.stop();
    await redis.flushall();
    await redis.hset("h:new", "v", fp32(7, 7));
    await join();
    await untilVectors(redis, "p", ["beside"]);
    await untilVectors(redis, "h", ["h:new"]);
  });
});

describe("keys that go while no sidecar is there", () => {
  const goes = () => redis.del("p:1", "h:1", "p:2", "h:2");

  test("are in the log", async () => {
    await start(5);
    await sidecar.stop();
    await goes();
    const before = await redis.xlen(log);
    await join();
    await inStep();
    expect(await redis.xlen(log)).toBe(before);
    expect(looks()).toBe(0);
  });

  test("nor a log: are found by looking at all", async () => {
    await start(5);
    await sidecar.stop();
    await redis.del(log, "vstore:{p}:log");
    expect(await redis.exists("vstore:synced")).toBe(0);
    await goes();
    await join();
    await inStep();
    expect(looks()).toBe(2);
  });

  test("nor the hash of what is followed: Redis knows it by heart, and the sidecar puts it back", async () => {
    await start(5);
    await sidecar.stop();
    await redis.del("vstore:follows");
    await goes();
    expect(await entriesOf(redis, "h", "h:1")).toEqual(["FOLLOWED", "DEL"]);
    await join();
    await inStep();
    expect((await redis.hkeys("vstore:follows")).sort()).toEqual(["h", "p"]);
  });

  test("and are deleted right after Redis has come back without that hash: are found all the same", async () => {
    await start(5, { appendonly: "always" });
    await sidecar.stop();
    await redis.del("vstore:follows");
    await server.kill();
    await server.restart();
    await goes();
    await join();
    await inStep();
  });
});

describe("a log at its limit", () => {
  /** Entries after the last one that the files have. */
  async function unapplied(): Promise<number> {
    const info = (await served(redis, "VSTORE.INFO", "h")) as (string | number)[];
    const applied = info[info.indexOf("applied_id") + 1];
    return (await redis.xrange(log, `(${applied}`, "+", "COUNT", 1)).length;
  }

  test("takes no more, forgets no key, and is a reason to look at all of them", async () => {
    await start(5);
    await redis.config("SET", "vstore.log-max-bytes", "1mb");
    process.kill(sidecar.pid, "SIGSTOP");
    for (let i = 0; i < 600; i++) await redis.hset("h:1", "v", Buffer.alloc(4_096), "x", i);
    const full = await redis.memory("USAGE", log, "SAMPLES", 0);
    expect(full).toBeLessThan(1.2 * 1024 * 1024);
    await redis.del("h:2", "h:3");
    await redis.hset("h:1", "v", fp32(9, 9));
    expect(await redis.hexists("vstore:synced", "h")).toBe(0);
    expect(Number(/followed_lost:(\d+)/.exec(await redis.info("vstore"))![1])).toBeGreaterThan(2);
    process.kill(sidecar.pid, "SIGCONT");
    expect(await redis.xlen(log)).toBeGreaterThan(100);
    // A checkpoint covers what is applied as it begins, and only that makes room.
    await until(unapplied, (entries) => entries === 0);
    await served(redis, "VSTORE.CHECKPOINT");
    await inStep();
    expect(await redis.call("VSTORE.GET", "h", "h:1")).toEqual(["9", "9"]);
  });
});

describe("Redis starts again", () => {
  test("from its AOF: the log has every entry once", async () => {
    await start(5, { appendonly: "always" });
    await redis.del("p:1", "h:1");
    await redis.rename("h:2", "h:x");
    await redis.pexpire("h:3", 1);
    await until(
      () => redis.exists("h:3"),
      (count) => count === 0,
    );
    await inStep();
    const before = looks();
    const entries = await redis.xrange(log, "-", "+");
    await server.kill();
    await server.restart();
    expect(await redis.xrange(log, "-", "+")).toEqual(entries);
    await inStep();
    expect(looks()).toBe(before);
  });

  test("from an AOF that has lost its end, and its log is ahead of the files before a sidecar is there", async () => {
    await start(5, { appendonly: "always" });
    const { size } = statSync(server.aofPath);
    await redis.hset("h:1", "v", fp32(8, 8));
    await redis.del("h:2", "p:2");
    await untilVectors(redis, "h", ["h:0", "h:1", "h:3", "h:4"]);
    await sidecar.stop();
    await server.kill();
    truncateSync(server.aofPath, size);
    await server.restart();
    await write(9);
    await join();
    await untilVectors(redis, "h", ["h:0", "h:1", "h:2", "h:3", "h:4", "h:9"]);
    expect(await redis.call("VSTORE.GET", "h", "h:1")).toEqual(["1", "1"]);
  });

  test("and keys go before a sidecar is there: they are in the log", async () => {
    await start(5, { appendonly: "always" });
    await sidecar.stop();
    await server.kill();
    await server.restart();
    await redis.del("p:1", "h:1");
    await redis.hset("h:9", "v", fp32(9, 1));
    expect(await entriesOf(redis, "h", "h:9")).toEqual(["FOLLOWED"]);
    await join();
    await inStep();
    expect(looks()).toBe(0);
  });

  test("from a snapshot, and keys have expired meanwhile without a word", async () => {
    await start(5);
    await redis.multi().pexpire("p:1", 500).pexpire("h:1", 500).exec();
    await redis.save();
    await server.kill();
    await sidecar.stop();
    await sleep(600);
    await server.restart();
    expect(await redis.exists("p:1", "h:1")).toBe(0);
    await join();
    await inStep();
  });

  test("from an older snapshot: the vectors follow what it has", async () => {
    await start(5);
    await redis.save();
    const snapshot = joinPath(server.directory, "dump.rdb");
    copyFileSync(snapshot, joinPath(server.directory, "older.rdb"));
    await redis.del("h:1", "h:2", "p:1");
    await redis.hset("h:3", "v", fp32(8, 8));
    for (let i = 5; i < 8; i++) await write(i);
    await until(
      () => served(redis, "VSTORE.CARD", "p"),
      (count) => count === 8,
    );
    await server.kill();
    copyFileSync(joinPath(server.directory, "older.rdb"), snapshot);
    await server.restart();
    await untilVectors(redis, "h", ["h:0", "h:1", "h:2", "h:3", "h:4"]);
    expect(await served(redis, "VSTORE.GET", "h", "h:3")).toEqual(["3", "1"]);
    // The key that has come back has no vector, as only its owner knows it.
    await untilVectors(redis, "p", ["beside", "p:0", "p:2", "p:3", "p:4"]);
  });

  test("DEBUG RELOAD and BGREWRITEAOF: no entry twice, every key followed after it", async () => {
    await start(5, { appendonly: "always" });
    await redis.del("h:1", "p:1");
    await redis.bgrewriteaof();
    await until(
      () => redis.info("persistence"),
      (text) => text.includes("aof_rewrite_in_progress:0") && text.includes("aof_rewrite_scheduled:0"),
    );
    await redis.debug("LOADAOF" as "RELOAD");
    expect(await entriesOf(redis, "h", "h:1")).toEqual(["FOLLOWED", "DEL"]);
    await redis.debug("RELOAD");
    expect(await entriesOf(redis, "h", "h:1")).toEqual(["FOLLOWED", "DEL"]);
    await redis.del("h:2", "p:2");
    await inStep();
    await server.kill();
    await server.restart();
    await redis.del("h:3", "p:3");
    await inStep();
  });
});

test.skipIf(isRedis8())("the module is loaded anew, and keys have gone meanwhile", async () => {
  await start(5);
  await sidecar.stop();
  await redis.call("MODULE", "UNLOAD", "vstore");
  await redis.del("p:1", "h:1");
  await redis.call("MODULE", "LOAD", modulePath);
  await join();
  await inStep();
});

test("a replica appends nothing by itself, and follows once it is the master", async () => {
  await start(5);
  const replica = await startRedis({ args: ["--replicaof", `127.0.0.1 ${server.port}`] });
  others.push(() => replica.stop());
  const copy = connectClient(replica.url);
  others.push(async () => copy.disconnect());
  await until(
    () => copy.info("replication"),
    (text) => text.includes("master_link_status:up"),
  );
  await redis.del("h:1", "p:1");
  await redis.hset("h:2", "v", fp32(6, 6));
  await redis.pexpire("h:3", 5);
  await inStep();
  await until(
    async () => [await redis.xrange(log, "-", "+"), await copy.xrange(log, "-", "+")],
    ([entries, copied]) => JSON.stringify(entries) === JSON.stringify(copied),
  );
  await until(
    async () => (await entriesOf(copy, "h", "h:3")).join(" "),
    (entries) => entries === "FOLLOWED DEL",
  );
  await redis.call("VSTORE.CREATE", "late", "DIM", 2, "FOLLOW", "PREFIX", "late:");
  await until(
    () => copy.hlen("vstore:follows"),
    (count) => count === 3,
  );
  await sidecar.kill();
  await copy.replicaof("NO", "ONE");
  await copy.del("h:4", "late:1");
  expect(await entriesOf(copy, "h", "h:4")).toEqual(["FOLLOWED", "DEL"]);
  await copy.set("late:1", "v");
  await copy.del("late:1");
  expect(await entriesOf(copy, "late", "late:1")).toEqual(["DEL"]);
});

test("eviction under allkeys-lru takes keys and their vectors, the log or not", async () => {
  await start(5, { args: ["--maxmemory-policy", "allkeys-lru"] });
  const used = Number(/used_memory:(\d+)/.exec(await redis.info("memory"))![1]);
  await redis.config("SET", "maxmemory", used + 2_000_000);
  for (let i = 0; i < 3_000; i++) await redis.hset(`h:${i}`, "v", fp32(i, 1), "filler", "x".repeat(1_000));
  expect(Number(/evicted_keys:(\d+)/.exec(await redis.info("stats"))![1])).toBeGreaterThan(100);
  await redis.config("SET", "maxmemory", 0);
  await inStep();
  expect(await redis.call("VSTORE.CARD", "h")).toBe((await redisKeys(redis, "h:")).length);
});

test("a sidecar that is killed while it looks at all keys begins again", async () => {
  await start(0);
  const load = redis.pipeline();
  for (let i = 0; i < 20_000; i++) load.hset(`h:${i}`, "v", fp32(i, 1));
  await load.exec();
  await until(
    () => redis.call("VSTORE.CARD", "h"),
    (count) => count === 20_000,
  );
  await redis.del(log);
  await until(
    () => infoOf(redis, "h"),
    (info) => Number(info.get("follow_keys_done")) > 0,
  );
  await sidecar.kill();
  expect(await redis.hget("vstore:synced", "h")).toBe("running");
  await redis.del("h:1", "h:19999");
  await join();
  await inStep();
  expect((await infoOf(redis, "h")).get("slots")).toBe(20_000);
});
