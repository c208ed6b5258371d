/**
 * A replica takes over that lacks the end of the log, and has new entries with ids that the files have passed. No
 * follower misses them, whichever sidecar leads then.
 */
import type { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Balancer } from "../../harness/balancer.ts";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, served, until } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

const log = "vstore:{c}:log";
const vector = (i: number) => fp32(i, 1);
const stage = eachTestOnStage();
let second: RedisServer;
let balancer: Balancer;
let replica: Redis;

beforeEach(async () => {
  second = await startRedis();
  balancer = await Balancer.listen(stage.server.port);
  replica = connectClient(second.url);
  await replica.replicaof("127.0.0.1", stage.server.port);
});
afterEach(async () => {
  replica.disconnect();
  await stage.killSidecars();
  await balancer.close();
  await second.stop();
});

function start(): SidecarProcess {
  const env = { VSTORE_ROLE: "auto", VSTORE_SYNC_FOLLOWERS: "1" };
  return stage.join({ redisUrl: balancer.url, env, checkpointIntervalMs: NO_CHECKPOINTS });
}

const insert = (i: number) => stage.redis.call("VSTORE.INSERT", "c", `k${i}`, "FP32", vector(i));
const untilReady = (redis: Redis) =>
  until(
    () => redis.info("vstore"),
    (info) => info.includes("vstore_followers_ready:1"),
  );

/** Leader and follower have all writes, the replica the first of them, and entries of its own behind those. */
async function write(): Promise<{ leader: SidecarProcess; follower: SidecarProcess }> {
  const leader = start();
  await leader.waitReady();
  const follower = start();
  await untilReady(stage.redis);
  await stage.redis.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
  for (let i = 0; i < 10; i++) await insert(i);
  const [length, end] = [
    await stage.redis.xlen(log),
    (await stage.redis.xrevrange(log, "+", "-", "COUNT", 1))[0]![0],
  ];
  await until(
    () => replica.xlen(log),
    (here) => here === length,
  );
  await replica.replicaof("NO", "ONE"); // it hears nothing more
  for (let i = 10; i < 20; i++) await insert(i);
  await stage.redis.call("VSTORE.DEL", "c", "k3");
  // A clock that is behind is one whose ids stay near the log's end: the ids that a module there would give.
  const [ms, sequence] = end.split("-").map(Number) as [number, number];
  const insertNew = ["cmd", "INSERT", "0", "c", "1", "new", "2", "FP32", "3", vector(77)];
  await replica
    .multi()
    .xadd(log, `${ms}-${sequence + 1}`, ...insertNew)
    .xadd(log, `${ms}-${sequence + 2}`, "cmd", "DEL", "0", "c", "1", "k15")
    .exec();
  return { leader, follower };
}

async function expectAll(): Promise<void> {
  const keys = ["new", "k3", "k9", "k15", "k19"];
  const found = [["77", "1"], null, ["9", "1"], null, ["19", "1"]];
  expect(await served(replica, "VSTORE.MGET", "c", ...keys)).toEqual(found);
  expect(await served(replica, "VSTORE.CARD", "c")).toBe(19);
}

test("one that is exactly where the leader was gets the leader's files, and has them when it leads", async () => {
  const { leader, follower } = await write();
  await stage.server.kill();
  balancer.leadTo(second.port);
  // Either of them may lead now: the other one ended at the same entry.
  await expectAll();
  const [first, other] = leader.stderr.includes("before its end") ? [leader, follower] : [follower, leader];
  expect(first.stderr).toContain("a log had new entries before its end");
  await other.waitLog("a snapshot has arrived");
  await untilReady(replica);
  await first.stop();
  await expectAll();
});

test("one that leads without the leader knows which entries it has applied", async () => {
  const { leader, follower } = await write();
  await leader.kill();
  await stage.server.kill();
  balancer.leadTo(second.port);
  await expectAll();
  expect(follower.stderr).toContain("a log had new entries before its end");
});
