/**
 * Many hashes under random DEL, EXPIRE, RENAME, overwrites and eviction, while the sidecar is killed three times: when the
 * dust has settled the vectors are those of the hashes that are left, exactly.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ChainableCommander, Redis } from "ioredis";
import { afterEach, expect, test } from "vitest";
import { temporaryDirectory } from "./harness/directory.ts";
import { redisKeys, untilInStep, untilVectors } from "./harness/following.ts";
import { fp32 } from "./harness/fp32.ts";
import { generator, testSeed } from "./harness/random.ts";
import { type RedisServer, startRedis } from "./harness/redis-server.ts";
import { connectClient } from "./harness/serving.ts";
import { type SidecarProcess, startSidecar } from "./harness/sidecar.ts";

/** `CHURN_KEYS=100000 npx vitest run test/79.follow-churn*` takes two minutes. */
const KEYS = Number(process.env.CHURN_KEYS ?? 10_000);
const CHANGES = KEYS;
const BATCH = 500;
const KILLS = 3;
const EXPIRY_MS_MAX = 3_000;
/** Share of what the keys take, beside which Redis has no memory. */
const MEMORY_SHARE = 0.8;

let server: RedisServer;
let redis: Redis;
let sidecar: SidecarProcess;
let dataDir: string;

afterEach(async () => {
  redis.disconnect();
  await sidecar.kill();
  await server.stop();
});

function join(): void {
  sidecar = startSidecar({ redisUrl: server.url, dataDir, env: { VSTORE_CHECKPOINT_INTERVAL_MS: "2000" } });
}

type Random = () => number;
const below = (random: Random, end: number) => Math.floor(random() * end);
const filler = "x".repeat(200);
const write = (all: ChainableCommander, key: string, n: number) =>
  all.hset(key, { v: fp32(n, 1), n, filler });

/** One random change of one random key. */
function change(all: ChainableCommander, random: Random): void {
  const key = `doc:${below(random, KEYS)}`;
  const kinds = [
    () => all.del(key),
    () => all.unlink(key),
    () => all.pexpire(key, 1 + below(random, EXPIRY_MS_MAX)),
    () => all.rename(key, `doc:${below(random, KEYS)}`),
    () => all.rename(key, `elsewhere:${below(random, KEYS)}`),
    () => write(all, key, below(random, 1e6)),
    () => write(all, `doc:new:${below(random, KEYS)}`, below(random, 1e6)),
    () => all.hincrby(key, "counter", 1),
    () => all.hset(key, "v", "no vector"),
    () => all.hdel(key, "v"),
    () => all.set(key, "a string now"),
  ];
  kinds[below(random, kinds.length)]!();
}

async function inBatches(count: number, add: (all: ChainableCommander, i: number) => void): Promise<void> {
  for (let from = 0; from < count; from += BATCH) {
    const all = redis.pipeline();
    for (let i = from; i < Math.min(count, from + BATCH); i++) add(all, i);
    await all.exec(); // some fail, as some keys are gone or hold something else
  }
}

/** The keys whose hashes hold a vector now, and the vectors as text. */
async function wanted(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const keys = await redisKeys(redis, "doc:");
  for (let from = 0; from < keys.length; from += BATCH) {
    const part = keys.slice(from, from + BATCH);
    const all = redis.pipeline();
    for (const key of part) all.hgetBuffer(key, "v");
    const blobs = (await all.exec())!;
    part.forEach((key, at) => {
      const blob = blobs[at]![1] as Buffer | null;
      if (blobs[at]![0] === null && blob?.length === 8) found.set(key, blob.toString("hex"));
    });
  }
  return found;
}

async function expectVectors(expected: Map<string, string>): Promise<void> {
  const all = redis.pipeline();
  for (const key of expected.keys()) all.callBuffer("VSTORE.GET", "c", key, "RAW");
  const blobs = (await all.exec())!;
  const wrong = [...expected].filter(
    ([, blob], at) => (blobs[at]![1] as Buffer | null)?.toString("hex") !== blob,
  );
  expect(wrong).toEqual([]);
}

test("the vectors are those of the keys that are left", { timeout: 300_000 }, async () => {
  const random = generator(testSeed());
  server = await startRedis({ args: ["--maxmemory-policy", "allkeys-lru"] });
  redis = connectClient(server.url);
  dataDir = temporaryDirectory();
  join();
  await sidecar.waitReady();
  const from = ["FOLLOW", "PREFIX", "doc:", "FROM", "HASH", "FIELD", "v", "ATTRS", "n"];
  await redis.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2", ...from);
  await inBatches(KEYS, (all, i) => write(all, `doc:${i}`, i));
  const used = Number(/used_memory:(\d+)/.exec(await redis.info("memory"))![1]);
  await redis.config("SET", "maxmemory", Math.floor(used * MEMORY_SHARE));
  for (let part = 0; part <= KILLS; part++) {
    await inBatches(CHANGES / (KILLS + 1) / 2, (all) => change(all, random));
    if (part < KILLS) await sidecar.kill();
    await inBatches(CHANGES / (KILLS + 1) / 2, (all) => change(all, random));
    if (part < KILLS) join();
    await sidecar.waitReady();
  }
  const evicted = Number(/evicted_keys:(\d+)/.exec(await redis.info("stats"))![1]);
  await redis.config("SET", "maxmemory", 0);
  await sleep(EXPIRY_MS_MAX);
  await untilInStep(redis, "c");
  const expected = await wanted();
  console.log(`${expected.size} of ${KEYS} hashes are left, ${evicted} were evicted`);
  await untilVectors(redis, "c", [...expected.keys()]);
  await expectVectors(expected);
  expect(evicted).toBeGreaterThan(KEYS / 100);
});
