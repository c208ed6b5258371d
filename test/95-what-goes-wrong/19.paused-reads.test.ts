/** Writes are paused (CLIENT PAUSE … WRITE) for longer than the lease lasts: who reads is answered as before. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { createFollowing } from "../harness/following.ts";
import { fp32 } from "../harness/fp32.ts";
import { served } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage({ appendonly: "everysec" });
const pauseMs = 8_000;

test("SEARCH and CARD are answered, the lease is kept, and a write is made once the pause is over", async () => {
  const sidecar = stage.join({ checkpointIntervalMs: 1_000 });
  await sidecar.waitReady();
  await createFollowing(stage.redis, "f");
  await served(stage.redis, "VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
  for (let i = 0; i < 10; i++) await stage.redis.call("VSTORE.INSERT", "c", `k${i}`, "FP32", fp32(i, 1));
  const writer = stage.redis.duplicate();
  await stage.redis.call("CLIENT", "PAUSE", pauseMs, "WRITE");
  const began = performance.now();
  const write = writer.call("VSTORE.INSERT", "c", "late", "FP32", fp32(20, 1));
  let slowest = 0;
  while (performance.now() - began < pauseMs - 1_500) {
    const asked = performance.now();
    expect(await stage.redis.call("VSTORE.SEARCH", "c", "FP32", fp32(3, 1), "COUNT", 1)).toEqual(["k3"]);
    expect(await stage.redis.call("VSTORE.CARD", "c")).toBe(10);
    slowest = Math.max(slowest, performance.now() - asked);
    await sleep(50);
  }
  // What hangs is answered by TIMEOUT after 5 s, or when the pause is over.
  expect(slowest).toBeLessThan(3_000);
  expect(await write).toBe(1);
  expect(performance.now() - began).toBeGreaterThan(pauseMs - 500);
  expect(await stage.redis.call("VSTORE.CARD", "c")).toBe(11);
  expect(sidecar.stderr).not.toContain("not serving");
  writer.disconnect();
});
