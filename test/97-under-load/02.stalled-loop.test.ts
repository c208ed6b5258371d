/** The event loop that serves stands still: the lease and what clients are told do not depend on it. */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { served, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage({ args: ["--vstore.timeout", "60000"] });
/** Longer than the lease lasts that was renewed last, and than silence is waited for. */
const stallMs = 12_000;

/** The serving loop does nothing else for a while at SIGUSR2, as a fault in it would do. */
function stalling(): Record<string, string> {
  const path = `${temporaryDirectory()}/stalling.mjs`;
  const stall = `for (const end = Date.now() + ${stallMs}; Date.now() < end; );`;
  writeFileSync(path, `process.on("SIGUSR2", () => { ${stall} });`);
  return { NODE_OPTIONS: `--import=${path}` };
}

test("the lease is kept, clients are told that no sidecar serves them, and it goes on afterwards", async () => {
  const sidecar = stage.join({ env: stalling() });
  await sidecar.waitReady();
  await stage.redis.call("VSTORE.CREATE", "c", "DIM", 1, "METRIC", "L2");
  const standby = stage.join();
  await standby.waitLog("standing by");

  const before = stage.redis.call("VSTORE.INSERT", "c", "before", "FP32", fp32(1));
  expect(await before).toBe(1);
  process.kill(sidecar.pid, "SIGUSR2");
  const start = Date.now();
  await sleep(500);
  const during = stage.redis.call("VSTORE.INSERT", "c", "during", "FP32", fp32(1));
  const client = stage.redis.duplicate();
  onTestFinished(() => client.disconnect());
  await until(
    () => client.info("vstore"),
    (info) => info.includes("vstore_attached:0"),
  );
  await expect(client.call("VSTORE.LIST")).rejects.toThrow("VSTOREDOWN no vstore sidecar is attached");
  expect(Date.now() - start, "while it stands still").toBeLessThan(stallMs);

  expect(await during).toBe(1);
  expect(await served(stage.redis, "VSTORE.CARD", "c")).toBe(2);
  expect(sidecar.stderr.match(/serving redis/g), "one session").toHaveLength(1);
  expect(standby.stdout).toBe("");
});
