/** The schedule of compactions, on the running program, and when one is due. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { Compactions } from "../../src/bridge/upkeep/compactions.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import type { Collection } from "../../src/engine/collection.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { createLog } from "../../src/log.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32Of } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";

const DIMENSIONS = 64;
const KEYS = 2_000;

const dataDir = mkdtempSync(join(tmpdir(), "vstore-test-"));
let server: RedisServer;
let sidecar: SidecarProcess;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url, { protocol: 2 });
  await serve();
});
afterAll(async () => {
  redis.disconnect();
  await sidecar.stop();
  await server.stop();
  rmSync(dataDir, { recursive: true });
});

async function serve(): Promise<void> {
  sidecar = startSidecar({ redisUrl: server.url, dataDir, args: ["--checkpoint-interval-ms", "1000"] });
  await sidecar.waitReady();
}

async function info(): Promise<Record<string, string>> {
  const flat = (await redis.call("VSTORE.INFO", "c")) as string[];
  return Object.fromEntries(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, String(flat[i + 1])]] : [])));
}

const compactions = async () => Number((await info()).compactions);

const isDue = ({ slots, dead_slots }: Record<string, string>) =>
  Number(dead_slots) >= 1_000 && Number(dead_slots) > 0.3 * Number(slots);

/** Every key again, its vector filled with `value`. */
async function rewrite(value: number): Promise<void> {
  const keys = Array.from({ length: KEYS }, (_, i) => `key:${i}`);
  const vectors = fp32Of(new Float32Array(KEYS * DIMENSIONS).fill(value));
  await redis.call("VSTORE.MINSERT", "c", KEYS, ...keys, "FP32", vectors);
}

test("a collection with too many dead slots is compacted by itself, and serves meanwhile", async () => {
  await redis.call("VSTORE.CREATE", "c", "DIM", DIMENSIONS, "METRIC", "L2");
  for (let round = 1; round <= 4; round++) await rewrite(round);
  const query = fp32Of(new Float32Array(DIMENSIONS).fill(4));
  // On a busy machine one may come between the rounds, and leave too few dead slots for the next.
  while ((await compactions()) === 0 || isDue(await info())) {
    const found = (await redis.call(
      "VSTORE.SEARCH",
      "c",
      "FP32",
      query,
      "COUNT",
      1,
      "WITHDISTANCES",
    )) as string[];
    expect(found[1]).toBe("0");
    await delay(50);
  }
  const { vectors, slots, dead_slots } = await info();
  expect([Number(vectors), Number(slots) - Number(dead_slots)]).toEqual([KEYS, KEYS]);
});

test("what was compacted survives a kill of the sidecar", async () => {
  await redis.call("VSTORE.CHECKPOINT", "c"); // the new files serve before a manifest names them
  const before = await compactions();
  await sidecar.kill();
  await serve();
  expect(await redis.call("VSTORE.CARD", "c")).toBe(KEYS);
  expect(await compactions()).toBe(before);
});

/** Compactions as a sidecar has them, of a catalog that no sidecar serves. */
async function ownCompactions(): Promise<{ compactions: Compactions; catalog: Catalog }> {
  const plain = await startRedis({ module: false });
  const connection = connectClient(plain.url);
  const catalog = await Catalog.open(temporaryDirectory(), (message) => expect.fail(message), testIndex);
  const compactions = new Compactions(connection, catalog, createLog("warn"));
  onTestFinished(async () => {
    await compactions.stop();
    connection.disconnect();
    await catalog.close();
    await plain.stop();
  });
  return { compactions, catalog };
}

async function filled(catalog: Catalog, slots: number, dead: number): Promise<Collection> {
  const id = `${catalog.collections().length + 1}-0`;
  const options = resolveOptions({ dimensions: 2, metric: "L2", M: 4 });
  const collection = await catalog.create(`${dead} of ${slots}`, options, id);
  const keys = Array.from({ length: slots }, (_, i) => Buffer.from(`key:${i}`));
  collection.insertBatch(keys, new Float32Array(slots * 2).fill(1));
  collection.delete(keys.slice(0, dead));
  expect([collection.stats().slots, collection.deadSlots]).toEqual([slots, dead]);
  return collection;
}

test("a compaction is due with more than 30% and at least 1,000 dead slots", async () => {
  const { compactions, catalog } = await ownCompactions();
  const offer = async (slots: number, dead: number) => {
    const collection = await filled(catalog, slots, dead);
    await compactions.offer(collection);
    return collection;
  };
  const tooFew = [await offer(4_000, 1_160), await offer(4_000, 1_200), await offer(2_000, 999)];
  const enough = [await offer(4_000, 1_240), await offer(2_000, 1_000)];
  const done = (some: Collection[]) => some.map((each) => each.stats().compactions);
  // They run in the order in which they were asked for, so that what was not compacted by now will not be.
  await until(
    () => done(enough),
    (counts) => counts.every((count) => count === 1),
  );
  expect(done(tooFew)).toEqual([0, 0, 0]);
  expect(enough.map((each) => each.deadSlots)).toEqual([0, 0]);
});
