/** MAXBYTES: values stay within it under overload, those that are used stay, and vectors go with them, by the log. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { startSidecar } from "../../harness/sidecar.ts";
import { cacheGet, startCache } from "../harness/caches.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, served, until } from "../harness/serving.ts";

const maxBytes = 2 * 1024 * 1024;
/** Of one value, on average. */
const valueBytes = 2_048;

const sumScript = `
local sum = 0
for _, key in ipairs(redis.call('KEYS', '{c}:*')) do sum = sum + redis.call('STRLEN', key) end
return sum`;

const startStore = (dataDir?: string) => startCache(["WITHIN", 0, "MAXBYTES", maxBytes], { dataDir });

const angle = (i: number) => fp32(Math.cos(i / 1e4), Math.sin(i / 1e4));
const set = (redis: Redis, i: number, bytes: number) =>
  served(redis, "VSTORE.CACHE.SET", "c", "FP32", angle(i), "VALUE", "v".repeat(bytes), "ID", i);
const heldBytes = async (redis: Redis) => Number(await redis.eval(sumScript, 0));

async function infoOf(redis: Redis): Promise<Map<string, number>> {
  const flat = (await redis.call("VSTORE.CACHE.INFO", "c")) as (string | number)[];
  return new Map(flat.flatMap((name, at) => (at % 2 === 0 ? [[String(name), Number(flat[at + 1])]] : [])));
}

/** Every vector has its value, and every value its vector. */
async function untilEven(redis: Redis): Promise<void> {
  const counts = async () => [
    Number(await served(redis, "VSTORE.CARD", "c")),
    (await redis.keys("{c}:*")).length,
  ];
  await until(counts, ([vectors, values]) => vectors === values);
}

test("holds within 2 % while five times as much is set", async () => {
  const random = generator(testSeed());
  const { server, sidecar, redis } = await startStore();
  onTestFinished(() => sidecar.stop());
  const total = Math.ceil((5 * maxBytes) / valueBytes);
  let [next, most, isOver] = [0, 0, false];
  const setAll = async () => {
    const client = connectClient(server.url);
    while (next < total) await set(client, next++, valueBytes / 2 + Math.floor(random() * valueBytes));
    client.disconnect();
  };
  const watching = (async () => {
    while (!isOver) {
      most = Math.max(most, await heldBytes(redis));
      await sleep(5);
    }
  })();
  await Promise.all(Array.from({ length: 4 }, setAll));
  isOver = true;
  await watching;
  expect(most / maxBytes).toBeLessThanOrEqual(1.02);
  await untilEven(redis);
  const held = await heldBytes(redis);
  expect(held).toBeGreaterThan(0.95 * maxBytes);
  const info = await infoOf(redis);
  expect(info.get("bytes")).toBe(held);
  expect(info.get("max_bytes")).toBe(maxBytes);
  expect(info.get("evictions")).toBe(total - (await redis.keys("{c}:*")).length);
}, 120_000);

test("evicts what was not used for the longest time, on the whole", async () => {
  const { sidecar, redis } = await startStore();
  onTestFinished(() => sidecar.stop());
  const bytes = maxBytes / 110;
  for (let i = 0; i < 100; i++) await set(redis, i, bytes);
  // Redis counts in seconds.
  await until(
    () => redis.object("IDLETIME", "{c}:99"),
    (seconds) => Number(seconds) >= 3,
  );
  for (let i = 0; i < 50; i++)
    expect(await cacheGet(redis, "c", "FP32", angle(i))).toMatchObject({ id: `${i}` });
  for (let i = 100; i < 150; i++) await set(redis, i, bytes);
  await untilEven(redis);
  const left = (await redis.keys("{c}:*")).map((key) => Number(key.slice("{c}:".length)));
  const used = left.filter((i) => i < 50).length;
  const unused = left.filter((i) => i >= 50 && i < 100).length;
  expect(used).toBeGreaterThan(unused + 20);
}, 60_000);

test("value and vector agree after the sidecar was killed amid evictions", async () => {
  const dataDir = temporaryDirectory();
  const { server, redis, ...first } = await startStore(dataDir);
  let { sidecar } = first;
  onTestFinished(() => sidecar.stop());
  let i = 0;
  for (let round = 0; round < 2; round++) {
    const writing = (async () => {
      for (let n = 0; n < 300; n++) await set(redis, i++, 20_000);
    })();
    await until(
      async () => i,
      (count) => count > 300 * round + 200,
    );
    await sidecar.kill();
    sidecar = await startSidecar({ redisUrl: server.url, dataDir });
    await sidecar.waitReady();
    await writing;
  }
  await untilEven(redis);
  await until(
    () => heldBytes(redis),
    (bytes) => bytes <= maxBytes,
  );
  expect((await infoOf(redis)).get("bytes")).toBe(await heldBytes(redis));
}, 120_000);
