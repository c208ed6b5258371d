/** Leader and Redis are gone together: of two followers the one leads that has applied what was acknowledged. */
import type { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, served, until } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

/** Acknowledged by one of the followers alone. */
const WRITES = 50;
const stage = eachTestOnStage();
let redis: Redis;

beforeEach(() => {
  redis = connectClient(stage.server.url);
});
afterEach(() => redis.disconnect());

function start(role: string, candidateWaitMs: number): SidecarProcess {
  const env = {
    VSTORE_ROLE: role,
    VSTORE_SYNC_FOLLOWERS: "1",
    VSTORE_CANDIDATE_WAIT_MS: String(candidateWaitMs),
  };
  return stage.join({ env, checkpointIntervalMs: NO_CHECKPOINTS });
}

const signal = (sidecar: SidecarProcess, name: "SIGSTOP" | "SIGCONT") => process.kill(sidecar.pid, name);

/**
 * A follower that has all writes, one that stood still meanwhile and has only the first, and a Redis that has lost
 * them together with the leader. Both followers stand still.
 */
async function loseLeaderAndRedis(candidateWaitMs: number) {
  const leader = start("leader", candidateWaitMs);
  await leader.waitReady();
  const [ahead, behind] = [start("auto", candidateWaitMs), start("auto", candidateWaitMs)];
  await until(
    () => redis.info("vstore"),
    (info) => info.includes("vstore_followers_ready:2"),
  );
  await redis.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
  await redis.call("VSTORE.INSERT", "c", "first", "FP32", fp32(1, 2));
  for (const each of [ahead, behind]) await each.waitLog("in step");
  const counted = async () => Object.values(await redis.hgetall("vstore:followers")).map(Number.parseFloat);
  const now = await counted();
  await until(counted, (beats) => beats.every((beat, i) => beat > now[i]! + 1)); // each knows of the other
  signal(behind, "SIGSTOP");
  const keys = Array.from({ length: WRITES }, (_, i) => `k${i}`);
  for (const key of keys) expect(await served(redis, "VSTORE.INSERT", "c", key, "FP32", fp32(1, 2))).toBe(1);
  signal(ahead, "SIGSTOP");
  await leader.kill();
  await stage.server.kill();
  await stage.server.run(); // it saved nothing
  expect(await redis.dbsize()).toBe(0);
  return { ahead, behind, keys };
}

test("the one that is ahead leads, though the other one comes first", async () => {
  const { ahead, behind, keys } = await loseLeaderAndRedis(60_000);
  signal(behind, "SIGCONT");
  await behind.waitLog("another follower may have applied more");
  signal(ahead, "SIGCONT");
  await ahead.waitReady();
  expect(await served(redis, "VSTORE.EXISTS", "c", ...keys)).toBe(keys.length);
  expect(behind.stdout).not.toContain("ready");
});

test("when that one is gone as well, the other one leads with what it has", async () => {
  const { ahead, behind } = await loseLeaderAndRedis(100);
  await ahead.kill();
  signal(behind, "SIGCONT");
  await behind.waitReady();
  expect(await served(redis, "VSTORE.EXISTS", "c", "first")).toBe(1);
});
