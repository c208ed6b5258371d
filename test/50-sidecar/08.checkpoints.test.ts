/** When checkpoints are made without being asked for: on schedule, and early when a log has grown. */

import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterEach, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { fp32Of } from "../harness/fp32.ts";

let vstore: Vstore | undefined;
let redis: Redis;

afterEach(async () => {
  redis?.disconnect();
  await vstore?.stop();
});

async function start(env: Record<string, string>): Promise<void> {
  vstore = await startVstore({}, { env });
  redis = new Redis(vstore.url, { protocol: 2 });
  await redis.call("VSTORE.CREATE", "c", "DIM", 256, "METRIC", "L2");
}

/** Vectors of 1 KiB each. */
async function insert(count: number): Promise<void> {
  const blob = fp32Of(new Float32Array(256).fill(1));
  for (let i = 0; i < count; i++) await redis.call("VSTORE.INSERT", "c", `k${i}`, "FP32", blob);
}

async function trimmedWithin(ms: number): Promise<boolean> {
  for (const deadline = Date.now() + ms; Date.now() < deadline; await sleep(50)) {
    if ((await redis.xlen("vstore:{c}:log")) === 0) return true;
  }
  return false;
}

test("the schedule makes a checkpoint and the log is trimmed", async () => {
  await start({ VSTORE_CHECKPOINT_INTERVAL_MS: "1000" });
  await insert(5);
  expect(await trimmedWithin(5_000)).toBe(true);
});

test("before the schedule, the log is kept", async () => {
  await start({ VSTORE_CHECKPOINT_INTERVAL_MS: "3600000" });
  // BullMQ runs a new schedule once at the beginning.
  await sleep(500);
  await insert(5);
  expect(await trimmedWithin(3_000)).toBe(false);
});

test("a log that has grown brings the checkpoint forward", async () => {
  await start({ VSTORE_CHECKPOINT_INTERVAL_MS: "3600000", VSTORE_CHECKPOINT_LOG_BYTES: String(1024 * 1024) });
  await sleep(500);
  await insert(900);
  expect(await trimmedWithin(2_000)).toBe(false);
  await insert(200);
  const left = async () => redis.xlen("vstore:{c}:log");
  for (const deadline = Date.now() + 5_000; (await left()) > 200 && Date.now() < deadline; ) await sleep(50);
  expect(await left()).toBeLessThanOrEqual(200);
});
