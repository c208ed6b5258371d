/** The schedule of compactions, on the running program. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RedisServer, startRedis } from "./harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "./harness/sidecar.ts";

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

/** Every key again, its vector filled with `value`. */
async function rewrite(value: number): Promise<void> {
  const keys = Array.from({ length: KEYS }, (_, i) => `key:${i}`);
  const vectors = Buffer.from(new Float32Array(KEYS * DIMENSIONS).fill(value).buffer);
  await redis.call("VSTORE.MINSERT", "c", KEYS, ...keys, "FP32", vectors);
}

test("a collection with too many dead slots is compacted by itself, and serves meanwhile", async () => {
  await redis.call("VSTORE.CREATE", "c", "DIM", DIMENSIONS, "METRIC", "L2");
  for (let round = 1; round <= 4; round++) await rewrite(round);
  expect(Number((await info()).slots)).toBe(4 * KEYS);
  const query = Buffer.from(new Float32Array(DIMENSIONS).fill(4).buffer);
  while ((await info()).dead_slots !== "0") {
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
  expect(await info()).toMatchObject({ vectors: String(KEYS), slots: String(KEYS), compactions: "1" });
});

test("what was compacted survives a kill of the sidecar", async () => {
  await redis.call("VSTORE.CHECKPOINT", "c"); // the new files serve before a manifest names them
  await sidecar.kill();
  await serve();
  expect(await redis.call("VSTORE.CARD", "c")).toBe(KEYS);
  expect((await info()).compactions).toBe("1");
});
