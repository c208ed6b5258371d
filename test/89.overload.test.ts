/** More than can be served at once: it takes longer, and nothing breaks, grows without bound or is lost. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generator, randomVector, testSeed } from "./harness/random.ts";
import { encodeCommand, RespClient } from "./harness/resp.ts";
import { connectClient, until } from "./harness/serving.ts";
import { startVstore, type Vstore } from "./harness/sidecar.ts";

const DIMENSIONS = 32;
const KEYS = 2_000;
const MIB = 1024 * 1024;
const LOAD_MS = 30_000;
/** After which memory should not grow any more. */
const WARM_MS = 10_000;
/** redis-server's default is 10,000, of which the sidecar and this test's own connections take a few. */
const STORM_CLIENTS_MAX = 9_900;

const blob = (vector: Float32Array) => Buffer.from(vector.buffer);

let vstore: Vstore;
let redis: Redis;
const random = generator(testSeed());

beforeAll(async () => {
  vstore = await startVstore();
  redis = connectClient(vstore.url);
  await redis.call("VSTORE.CREATE", "c", "DIM", DIMENSIONS, "METRIC", "L2");
  const pipeline = redis.pipeline();
  const attributes = JSON.stringify({ text: "x".repeat(10_000) });
  for (let i = 0; i < KEYS; i++) {
    const vector = blob(randomVector(random, DIMENSIONS));
    pipeline.call("VSTORE.INSERT", "c", `k${i}`, "FP32", vector, "SETATTR", attributes);
  }
  await pipeline.exec();
});

afterAll(async () => {
  redis?.disconnect();
  await vstore?.stop();
});

/** Resident memory of a process. */
function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;
}

/** Sockets that this process may still open, with some to spare. */
function descriptorsMax(): number {
  const [, soft] = /Max open files\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))!;
  return Number(soft) - 500;
}

test("a connect storm: every client is answered", async () => {
  const count = Math.min(STORM_CLIENTS_MAX, descriptorsMax());
  const clients: RespClient[] = [];
  const start = performance.now();
  while (clients.length < count) {
    const some = Math.min(500, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: some }, () => RespClient.connect(vstore.port)))));
  }
  const connected = performance.now();
  const query = ["VSTORE.SEARCH", "c", "KEY", "k1", "COUNT", "1"];
  for (const client of clients) client.write(...query);
  const replies = new Set(await Promise.all(clients.map((client) => client.read())));
  const searched = performance.now();
  clients.forEach((client, i) => {
    client.write("VSTORE.DEL", "c", `nobody${i}`);
  });
  expect(new Set(await Promise.all(clients.map((client) => client.read())))).toEqual(new Set([":0\r\n"]));
  console.log(
    `${count} clients connected in ${Math.round(connected - start)} ms, answered in ` +
      `${Math.round(searched - connected)} ms (reads) and ${Math.round(performance.now() - searched)} ms (writes)`,
  );
  expect(replies).toEqual(new Set(["*1\r\n$2\r\nk1\r\n"]));
  for (const client of clients) client.close();
  expect(await redis.call("VSTORE.CARD", "c")).toBe(KEYS);
});

test("clients that ask and do not read are cut off by Redis; the others and the sidecar do not suffer", async () => {
  await redis.config("SET", "client-output-buffer-limit", "normal 16mb 0 0");
  const before = residentBytes(vstore.sidecar.pid);
  // Each answer has a megabyte.
  const question = encodeCommand([
    "VSTORE.SEARCH",
    "c",
    "KEY",
    "k1",
    "COUNT",
    "100",
    "EF",
    "100",
    "WITHATTRS",
  ]);
  const slow = await Promise.all(Array.from({ length: 10 }, () => RespClient.connect(vstore.port)));
  for (const client of slow) client.stall(Buffer.concat(Array.from({ length: 200 }, () => question)));
  const latencies: number[] = [];
  const connected = async () => Number(/connected_clients:(\d+)/.exec(await redis.info("clients"))![1]);
  const atFirst = await connected();
  await until(
    async () => {
      const start = performance.now();
      expect(await redis.call("VSTORE.CARD", "c")).toBe(KEYS);
      latencies.push(performance.now() - start);
      return atFirst - (await connected());
    },
    (gone) => gone >= slow.length,
  );
  const grown = residentBytes(vstore.sidecar.pid) - before;
  const slowest = Math.max(...latencies);
  console.log(
    `10 clients that do not read: slowest answer to another one ${Math.round(slowest)} ms, ` +
      `the sidecar grew by ${Math.round(grown / MIB)} MiB`,
  );
  for (const client of slow) client.close();
  expect(slowest).toBeLessThan(3_000);
  expect(grown).toBeLessThan(300 * MIB);
});

test("mixed load at the edge: nothing is lost, and memory stays flat", { timeout: 2 * LOAD_MS }, async () => {
  const clients = Array.from({ length: 64 }, () => connectClient(vstore.url));
  const latencies: number[] = [];
  const model = new Map<string, Float32Array | undefined>();
  const end = performance.now() + LOAD_MS;
  const timed = async (client: Redis, ...command: [string, ...(string | number | Buffer)[]]) => {
    const start = performance.now();
    await client.call(...command);
    latencies.push(performance.now() - start);
  };
  const work = clients.map(async (client, c) => {
    while (performance.now() < end) {
      const key = `own:${c}:${Math.floor(random() * 20)}`;
      const dice = random();
      const vector = randomVector(random, DIMENSIONS);
      if (dice < 0.7) await timed(client, "VSTORE.SEARCH", "c", "FP32", blob(vector), "COUNT", 10);
      else if (dice < 0.95) {
        await timed(client, "VSTORE.INSERT", "c", key, "FP32", blob(vector));
        model.set(key, vector);
      } else {
        await timed(client, "VSTORE.DEL", "c", key);
        model.set(key, undefined);
      }
    }
  });
  const memory = () => [residentBytes(vstore.sidecar.pid), residentBytes(vstore.redis.pid)] as const;
  await sleep(WARM_MS);
  const middle = memory();
  await Promise.all(work);
  const [sidecarGrowth, redisGrowth] = memory().map((bytes, i) => bytes - middle[i]!) as [number, number];
  latencies.sort((a, b) => a - b);
  const percentile = (share: number) => latencies[Math.floor(share * (latencies.length - 1))]!.toFixed(1);
  console.log(
    `${latencies.length} requests of 64 clients in ${LOAD_MS / 1_000} s: p50 ${percentile(0.5)} ms, p99 ${percentile(0.99)} ms, ` +
      `largest ${percentile(1)} ms; since ${WARM_MS / 1_000} s the sidecar grew by ${(sidecarGrowth / MIB).toFixed(1)} MiB, ` +
      `Redis by ${(redisGrowth / MIB).toFixed(1)} MiB`,
  );
  for (const [key, vector] of model) {
    const found = await redis.callBuffer("VSTORE.GET", "c", key, "RAW");
    expect(found, key).toEqual(vector === undefined ? null : blob(vector));
  }
  for (const client of clients) client.disconnect();
  expect(Number(percentile(0.99))).toBeLessThan(5_000);
  expect(sidecarGrowth).toBeLessThan(150 * MIB);
  expect(redisGrowth).toBeLessThan(50 * MIB);
});
