/**
 * Logs that another client changes behind the sidecar's back, while it serves and while none does: told like a log that
 * was deleted, and nothing that was applied goes. And what vstore does itself with its logs is never mistaken for that.
 */
import { truncateSync } from "node:fs";
import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, served, until } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

const stage = eachTestOnStage({ appendonly: "always" });
const keys = 8;
const logOf = (collection: string) => `vstore:{${collection}}:log`;
const insert = (redis: Redis, collection: string, i: number) =>
  served(redis, "VSTORE.INSERT", collection, `k${i}`, "FP32", fp32(i, 1));

/** Ids of the log's entries. */
async function idsOf(log: string): Promise<string[]> {
  return (await stage.redis.xrange(log, "-", "+")).map(([id]) => id);
}

/** By a name that is the collection's too. Those that lose entries before they are applied are the last ones. */
const changes: Readonly<Record<string, (log: string) => Promise<unknown>>> = {
  xtrim: (log) => stage.redis.xtrim(log, "MAXLEN", 3),
  "xdel-first": async (log) => stage.redis.xdel(log, (await idsOf(log))[0]!),
  "xdel-middle": async (log) => stage.redis.xdel(log, (await idsOf(log))[4]!),
  "xdel-last": async (log) => stage.redis.xdel(log, (await idsOf(log)).at(-1)!),
  "xdel-all": async (log) => stage.redis.xdel(log, ...(await idsOf(log))),
  "xadd-maxlen": (log) =>
    stage.redis.xadd(log, "MAXLEN", 2, "*", "cmd", "DEL", "0", log.slice(8, -5), "1", "none"),
  "xsetid-counts": async (log) =>
    stage.redis.call("XSETID", log, (await idsOf(log)).at(-1)!, "ENTRIESADDED", 100, "MAXDELETEDID", "0-0"),
  "copy-replace": (log) => stage.redis.copy(logOf("others"), log, "REPLACE"),
  "restore-replace": async (log) =>
    stage.redis.restore(log, 0, (await stage.redis.dumpBuffer(logOf("others")))!, "REPLACE"),
  "restore-itself": async (log) =>
    stage.redis.restore(log, 0, (await stage.redis.dumpBuffer(log))!, "REPLACE"),
  rename: (log) => stage.redis.rename(logOf("others-too"), log),
  "deleted-and-begun-again": (log) =>
    stage.redis.multi().del(log).xadd(log, "*", "cmd", "DEL", "0", log.slice(8, -5), "1", "none").exec(),
};
const names = Object.keys(changes);

/** One collection for each change; the others have as many entries as each of them, all of them later. */
async function fill(): Promise<void> {
  for (const name of [...names, "others", "others-too", "witness"]) {
    await stage.redis.call("VSTORE.CREATE", name, "DIM", 2, "METRIC", "L2");
    for (let i = 0; i < keys; i++) await insert(stage.redis, name, i);
  }
}

async function losses(redis: Redis, collection: string): Promise<number> {
  const info = (await served(redis, "VSTORE.INFO", collection)) as (string | number)[];
  return info[info.indexOf("log_losses") + 1] as number;
}

async function allLosses(): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const name of [...names, "witness"]) found[name] = await losses(stage.redis, name);
  return found;
}

const expected = Object.fromEntries([...names.map((name) => [name, 1]), ["witness", 0]]);

/** Without the wait for its lease. */
async function crash(sidecar: SidecarProcess, redis = stage.redis): Promise<void> {
  await sidecar.kill();
  await redis.del("vstore:leader");
}

async function serve(dataDir?: string): Promise<SidecarProcess> {
  const sidecar = stage.join({ checkpointIntervalMs: NO_CHECKPOINTS, ...(dataDir && { dataDir }) });
  await sidecar.waitReady();
  await sleep(500); // BullMQ runs a new schedule once at the beginning
  return sidecar;
}

test("what a client does to a log while a sidecar serves is told once, and a checkpoint keeps what was applied", async () => {
  const sidecar = await serve();
  await fill();
  for (const [name, change] of Object.entries(changes)) await change(logOf(name));
  const isAllTold = (found: object) => names.every((name) => found[name as keyof object] === 1);
  await until(allLosses, isAllTold);
  await sleep(1_500); // another look
  expect(await allLosses()).toEqual(expected);
  expect(sidecar.stderr).toContain("Redis has lost (a part of) a log");
  await crash(sidecar);
  await serve(sidecar.dataDir);
  for (const name of [...names, "witness"]) expect(await served(stage.redis, "VSTORE.CARD", name)).toBe(keys);
});

test("what a client does to a log while no sidecar is there is told by the next one, once", async () => {
  const sidecar = await serve();
  await fill();
  await crash(sidecar);
  for (const [name, change] of Object.entries(changes)) await change(logOf(name));
  const next = await serve(sidecar.dataDir);
  expect(await allLosses()).toEqual(expected);
  await crash(next);
  await serve(sidecar.dataDir);
  expect(await losses(stage.redis, "copy-replace")).toBe(0);
  expect(await served(stage.redis, "VSTORE.CARD", "witness")).toBe(keys);
});

test("a log in another database than 0 is watched too", async () => {
  const redis = stage.redis;
  await redis.select(3);
  const redisUrl = `${stage.server.url}/3`;
  const sidecar = stage.join({ redisUrl, checkpointIntervalMs: NO_CHECKPOINTS });
  await sidecar.waitReady();
  for (const name of ["c", "others"]) {
    await redis.call("VSTORE.CREATE", name, "DIM", 2, "METRIC", "L2");
    for (let i = 0; i < keys; i++) await insert(redis, name, i);
  }
  await crash(sidecar);
  await redis.copy(logOf("others"), logOf("c"), "REPLACE");
  await stage.join({ redisUrl, dataDir: sidecar.dataDir }).waitReady();
  expect(await losses(redis, "c")).toBe(1);
  expect(await losses(redis, "others")).toBe(0);
});

test("many writes, checkpoints, refusals and restarts raise no alarm", async () => {
  const start = (dataDir?: string) =>
    stage.join({ checkpointIntervalMs: 1_000, ...(dataDir && { dataDir }) });
  const sidecar = start();
  const redis = stage.redis;
  await sidecar.waitReady();
  const writeAll = async (from: number) => {
    await served(redis, "VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2", "NX");
    for (let i = from; i < from + 500; i += 50) {
      const batch = redis.multi();
      for (let j = i; j < i + 25; j++)
        batch.call("VSTORE.INSERT", "c", `k${j}`, "FP32", fp32(j, 1), "PX", 900);
      batch.call("VSTORE.INSERT", "c", "wrong", "FP32", fp32(1));
      await batch.exec();
      await Promise.all(Array.from({ length: 25 }, (_, j) => insert(redis, "c", i + 25 + j)));
    }
    // Refused for its time, and taken out of the log, which then goes on before it.
    await redis.xadd(logOf("c"), `${Date.now() + 7_200_000}-1`, "cmd", "DEL", "0", "c", "1", "k1");
    await redis.call("VSTORE.CHECKPOINT", "c");
    await redis.call("VSTORE.CREATE", "brief", "DIM", 2);
    await insert(redis, "brief", 1);
    await redis.call("VSTORE.DROP", "brief");
  };
  await writeAll(0);
  await stage.server.restart();
  await writeAll(1_000);
  await redis.bgrewriteaof();
  await until(
    () => redis.info("persistence"),
    (text) => text.includes("aof_rewrite_in_progress:0"),
  );
  await crash(sidecar);
  await stage.server.kill();
  await stage.server.restart();
  const next = start(sidecar.dataDir);
  await next.waitReady();
  await writeAll(2_000);
  await redis.debug("RELOAD");
  await sleep(1_500); // a look
  expect(await losses(redis, "c")).toBe(0);
  expect(sidecar.stderr + next.stderr).not.toContain("lost (a part of)");
  expect(await redis.hkeys("vstore:logs")).toEqual([logOf("c")]);
});

test("an AOF without its end, and a replica that takes over, raise no alarm where nothing applied is missing", async () => {
  const redis = stage.redis;
  const sidecar = await serve();
  await redis.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
  for (let i = 0; i < 20; i++) await insert(redis, "c", i);
  await redis.call("VSTORE.CHECKPOINT", "c");
  for (let i = 20; i < 40; i++) await insert(redis, "c", i);
  await crash(sidecar);
  await stage.server.kill();
  truncateSync(stage.server.aofPath, (await stat(stage.server.aofPath)).size - 20);
  await stage.server.restart();
  const next = await serve(sidecar.dataDir);
  expect(await served(redis, "VSTORE.CARD", "c")).toBeGreaterThan(20);
  expect(await losses(redis, "c")).toBe(0);
  const second = await startRedis();
  const replica = connectClient(second.url);
  onTestFinished(async () => {
    replica.disconnect();
    await second.stop();
  });
  await replica.replicaof("127.0.0.1", stage.server.port);
  await until(
    () => replica.info("replication"),
    (text) => text.includes("master_link_status:up"),
  );
  for (let i = 40; i < 60; i++) await insert(redis, "c", i);
  await redis.call("VSTORE.CHECKPOINT", "c");
  await redis.wait(1, 5_000);
  await crash(next);
  await replica.replicaof("NO", "ONE");
  await replica.del("vstore:leader");
  const promoted = startSidecar({ redisUrl: second.url, dataDir: sidecar.dataDir });
  onTestFinished(() => promoted.kill());
  await promoted.waitReady();
  await insert(replica, "c", 60);
  await sleep(1_500); // a look
  expect(await losses(replica, "c")).toBe(0);
});
