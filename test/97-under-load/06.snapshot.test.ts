/** A large collection that a follower takes over: its files are opened while it goes on, and that holds nothing up. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { TurnMeter } from "../../harness/largest-requests.ts";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { limits } from "../../src/limits.ts";
import { fp32Of } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

/** Of work of the loop's thread. */
const turnMsMax = 50;
/** So many that to read their keys at once would take several times as long. */
const keys = 200_000;
const batch = limits.keysMax;
const dimensions = 2;
const aDay = 86_400;

const stage = eachTestOnStage();
const random = generator(testSeed());
const meter = new TurnMeter();
let redis: Redis;

beforeEach(() => {
  redis = connectClient(stage.server.url);
});
afterEach(() => redis.disconnect());
afterAll(() => meter.close());

const call = (command: string, ...args: (string | number | Buffer)[]) =>
  redis.call(`VSTORE.${command}`, ...args) as Promise<unknown>;

/** All of them expire, and have attributes. */
async function fill(from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += batch) {
    const names = Array.from({ length: batch }, (_, i) => `key:${at + i}`);
    const vectors = fp32Of(randomVector(random, batch * dimensions));
    const texts = names.map((_, i) => `{"n":${(at + i) % 1_000}}`);
    await call("MINSERT", "c", batch, ...names, "FP32", vectors, "EX", aDay + at, "SETATTR", ...texts);
  }
}

async function checkpoint(): Promise<void> {
  await call("CHECKPOINT", "c");
  await until(
    () => redis.xlen("vstore:{c}:log"),
    (length) => length === 0,
  );
}

/** Milliseconds of the longest turn from when a follower follows until the snapshot is there. */
async function longestTurn(dataDir?: string): Promise<{ follower: SidecarProcess; ms: number }> {
  const env = { VSTORE_ROLE: "follower", ...meter.env };
  const follower = stage.join({ env, ...(dataDir && { dataDir }) });
  await follower.waitLog("following redis://"); // loading the program is a long turn
  meter.longestMs();
  await follower.waitLog("a snapshot has arrived");
  await sleep(20); // a turn is told of when it is over
  return { follower, ms: meter.longestMs() };
}

test("no turn of a follower is long while a large collection is opened, nor while one is replaced", async () => {
  const leader = stage.join();
  await leader.waitReady();
  await call(
    "CREATE",
    "c",
    "DIM",
    dimensions,
    "METRIC",
    "L2",
    "M",
    4,
    "EF_CONSTRUCTION",
    limits.efConstructionMin,
  );
  await fill(0, keys);
  await checkpoint();
  const first = await longestTurn();
  await first.follower.stop();
  // A follower that nobody knows is not waited for.
  await redis.del("vstore:followers");
  await fill(keys, keys + batch);
  await checkpoint();
  const second = await longestTurn(first.follower.dataDir);
  console.log(`longest turns: ${first.ms} ms, ${second.ms} ms`);
  expect(first.ms).toBeLessThan(turnMsMax);
  expect(second.ms).toBeLessThan(turnMsMax);
}, 120_000);
