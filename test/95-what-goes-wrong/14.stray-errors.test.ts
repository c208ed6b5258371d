/** What fails in one place stays there: a damaged collection, a checkpoint, an error that no code awaits. */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { collectionDirectory } from "../../src/engine/disk/names.ts";
import { everything, flip } from "../harness/data-directory.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { served, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage();
const every = 1_000;

async function insert(collection: string, key: string): Promise<void> {
  await served(stage.redis, "VSTORE.INSERT", collection, key, "FP32", fp32(1));
}

test("beside a damaged collection, another one is served and checkpointed, one interval after the other", async () => {
  const dataDir = temporaryDirectory();
  const first = stage.join({ dataDir, checkpointIntervalMs: every });
  await first.waitReady();
  for (const name of ["good", "bad"]) await stage.redis.call("VSTORE.CREATE", name, "DIM", 1, "METRIC", "L2");
  for (const name of ["good", "bad"]) await insert(name, "a");
  await first.stop();
  writeFileSync(`${dataDir}/${collectionDirectory("bad")}/MANIFEST.json`, "{}");

  const second = stage.join({ dataDir, checkpointIntervalMs: every });
  await second.waitReady();
  for (let round = 0; round < 3; round++) {
    await insert("good", `round ${round}`);
    await until(
      () => stage.redis.xlen("vstore:{good}:log"),
      (left) => left === 0,
    );
    await sleep(every);
  }
  await expect(stage.redis.call("VSTORE.CARD", "bad")).rejects.toThrow("DAMAGED");
  await expect(stage.redis.call("VSTORE.INSERT", "bad", "b", "FP32", fp32(1))).rejects.toThrow("DAMAGED");
  expect(await stage.redis.call("VSTORE.CARD", "good")).toBe(4);
  expect(second.isRunning).toBe(true);
  expect(second.stderr.match(/serving redis/g)).toHaveLength(1);
  await second.stop();
});

test("damaged vectors are found while their collection is served, and no write in its log is lost", async () => {
  const dataDir = temporaryDirectory();
  const first = stage.join({ dataDir });
  await first.waitReady();
  for (const name of ["good", "bad"]) await stage.redis.call("VSTORE.CREATE", name, "DIM", 1, "METRIC", "L2");
  for (const name of ["good", "bad"]) await insert(name, "a");
  await stage.redis.call("VSTORE.CHECKPOINT", "bad");
  await insert("bad", "b");
  await first.kill();
  const segment = `${dataDir}/${collectionDirectory("bad")}/segment-000000.vec`;
  flip(segment, 4_096);

  const second = stage.join({ dataDir });
  await second.waitReady();
  await expect(served(stage.redis, "VSTORE.GET", "bad", "a")).rejects.toThrow(
    /DAMAGED .*c-bad\/segment-000000.vec at byte 4096/,
  );
  await expect(stage.redis.call("VSTORE.CARD", "bad")).rejects.toThrow("DAMAGED");
  await expect(stage.redis.call("VSTORE.INSERT", "bad", "c", "FP32", fp32(1))).rejects.toThrow("DAMAGED");
  await expect(stage.redis.call("VSTORE.CHECKPOINT", "bad")).rejects.toThrow("DAMAGED");
  expect(await stage.redis.call("VSTORE.GET", "good", "a")).toEqual(["1"]);
  await second.stop();

  flip(segment, 4_096);
  const third = stage.join({ dataDir });
  await third.waitReady();
  expect(await served(stage.redis, "VSTORE.GET", "bad", "a")).toEqual(["1"]);
  expect(await stage.redis.call("VSTORE.GET", "bad", "b")).toEqual(["1"]);
  expect(await stage.redis.call("VSTORE.CARD", "bad")).toBe(2);
  await third.stop();
});

/** Has the program do something at SIGUSR2 that none of its own code does. */
function injected(source: string): Record<string, string> {
  const path = `${temporaryDirectory()}/injected.mjs`;
  writeFileSync(path, `process.on("SIGUSR2", () => { ${source} });`);
  return { NODE_OPTIONS: `--import=${path}` };
}

test("a rejection that no code awaits is logged and counted, and a new session serves", async () => {
  const sidecar = stage.join({ env: injected(`Promise.reject(new Error("stray"));`) });
  await sidecar.waitReady();
  await stage.redis.call("VSTORE.CREATE", "c", "DIM", 1, "METRIC", "L2");
  await insert("c", "a");
  const count = async () => {
    const facts = (await served(stage.redis, "VSTORE.INFO")) as (string | number)[];
    return facts[facts.indexOf("unexpected_errors") + 1];
  };
  expect(await count()).toBe(0);
  process.kill(sidecar.pid, "SIGUSR2");
  await sidecar.waitFor(() => sidecar.stderr.match(/serving redis/g)?.length === 2, "a second session");
  expect(sidecar.stderr).toContain("not serving: an unexpected error: stray");
  expect(await count()).toBe(1);
  await insert("c", "b");
  expect(await served(stage.redis, "VSTORE.CARD", "c")).toBe(2);
  await sidecar.stop();
});

test("an exception that left a callback ends the program in order: a checkpoint, exit code 1", async () => {
  const dataDir = temporaryDirectory();
  const sidecar = stage.join({ dataDir, env: injected(`throw new Error("astray");`) });
  await sidecar.waitReady();
  await stage.redis.call("VSTORE.CREATE", "c", "DIM", 1, "METRIC", "L2");
  await insert("c", "a");
  process.kill(sidecar.pid, "SIGUSR2");
  expect(await sidecar.exit()).toBe(1);
  expect(sidecar.stderr).toMatch(/"message":"astray".*"unexpected error"/);
  expect(await everything(dataDir)).toEqual({ c: [["a", 1, undefined]] });
});
