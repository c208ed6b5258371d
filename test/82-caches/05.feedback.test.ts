/** CACHE.FEEDBACK and CACHE.INFO: what reports change, and what is counted. */
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { justBelow, type Report, reachOf } from "../../src/commands/cache/reach.ts";
import { cacheGet, scopeWords } from "../harness/caches.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient } from "../harness/serving.ts";

const right = (distance: number, count: number) => Array.from({ length: count }, (): Report => [distance, 1]);

describe("the reach of an entry", () => {
  test.each<[string, Report[], number, number]>([
    ["is the standard without reports", [], 0, 0.2],
    ["stays where right reports are nearer", [[0.1, 1]], 0, 0.2],
    ["widens to a right report", [[0.3, 1]], 0, 0.3],
    ["ends just below a false report", [[0.1, 0]], 0, justBelow(0.1)],
    [
      "ends below the nearest of them",
      [
        [0.15, 0],
        [0.1, 0],
      ],
      0,
      justBelow(0.1),
    ],
    [
      "does not widen beyond a false report",
      [
        [0.3, 1],
        [0.25, 0],
      ],
      0,
      0.2,
    ],
    [
      "widens up to a false report",
      [
        [0.3, 1],
        [0.4, 0],
        [0.5, 1],
      ],
      0,
      0.3,
    ],
    ["with a bound, is not widened by too few right reports", [...right(0.3, 2)], 0.2, 0.2],
    ["with a bound, widens once there are enough", [...right(0.3, 3)], 0.2, 0.3],
    [
      "with a bound, bears a false report among enough right ones",
      [...right(0.25, 8), [0.26, 0], [0.3, 1]],
      0.2,
      0.3,
    ],
    [
      "with a bound, ends below the false report that is too much",
      [...right(0.1, 3), [0.13, 0]],
      0.2,
      justBelow(0.13),
    ],
    ["with a bound, counts reports of one distance together", [...right(0.3, 3), [0.3, 0]], 0.2, 0.2],
    ["with a bound, ends below a false report at once", [[0.1, 0]], 0.5, justBelow(0.1)],
    ["is below 0 where the same question was answered falsely", [[0, 0]], 0, -Number.MIN_VALUE],
  ])("%s", (_, reports, errorRate, reach) => {
    expect(reachOf(reports, 0.2, errorRate)).toBe(reach);
  });

  test("just below is the next smaller number", () => {
    for (const value of [0.1, 1, -1, 1e-300, 2 ** 53]) {
      expect(justBelow(value)).toBeLessThan(value);
      expect(
        (justBelow(value) + value) / 2 === value || (justBelow(value) + value) / 2 === justBelow(value),
      ).toBe(true);
    }
  });
});

describe("with a server", () => {
  let server: Awaited<ReturnType<typeof startRedis>>;
  let sidecar: SidecarProcess;
  let redis: Redis;
  const acme = scopeWords({ tenant: "acme" });
  const east = fp32(1, 0);
  /** About 0.005 and 0.02 from the east. */
  const [near, nearer] = [fp32(1, 0.2), fp32(1, 0.1)];

  beforeAll(async () => {
    server = await startRedis();
    sidecar = await startSidecar({ redisUrl: server.url });
    await sidecar.waitReady();
    redis = connectClient(server.url);
  });
  afterAll(async () => {
    redis.disconnect();
    await sidecar.stop();
    await server.stop();
  });

  const info = async (cache: string, ...words: string[]) => {
    const flat = (await redis.call("VSTORE.CACHE.INFO", cache, ...words)) as (string | number)[];
    return Object.fromEntries(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, Number(flat[i + 1])]] : [])));
  };

  test("a false hit is not given again, at that distance or farther, and the entry keeps its tags", async () => {
    await redis.call("VSTORE.CACHE.CREATE", "f", "DIM", 2, "SCOPE", 1, "tenant", "WITHIN", 0.1);
    await redis.call("VSTORE.CACHE.SET", "f", "FP32", east, "VALUE", "v", "ID", "1", "TAGS", 1, "t", ...acme);
    const answer = await cacheGet(redis, "f", "FP32", near, ...acme);
    const reply = await redis.call(
      "VSTORE.CACHE.FEEDBACK",
      "f",
      "1",
      "FALSE",
      "DISTANCE",
      String(answer!.distance),
    );
    expect(Number(reply)).toBe(justBelow(answer!.distance));
    expect(await cacheGet(redis, "f", "FP32", near, ...acme)).toBeUndefined();
    expect(await cacheGet(redis, "f", "FP32", near, "WITHIN", 1, ...acme)).toBeUndefined();
    expect(await cacheGet(redis, "f", "FP32", nearer, ...acme)).toMatchObject({ value: "v" });
    await redis.call("VSTORE.CHECKPOINT", "f");
    expect(await redis.call("VSTORE.CACHE.DEL", "f", "TAG", "t")).toBe(1);
  });

  test("a right answer that had to be verified is given by itself from then on", async () => {
    await redis.call("VSTORE.CACHE.CREATE", "h", "DIM", 2, "WITHIN", 0.001);
    await redis.call("VSTORE.CACHE.SET", "h", "FP32", east, "VALUE", "v", "ID", "1");
    const answer = await cacheGet(redis, "h", "FP32", near, "VERIFY", 0.1);
    expect(answer).toMatchObject({ status: "verify" });
    await redis.call("VSTORE.CACHE.FEEDBACK", "h", "1", "HIT", "DISTANCE", answer!.distance);
    expect(await cacheGet(redis, "h", "FP32", near)).toMatchObject({ status: "hit" });
    expect(await redis.call("VSTORE.CACHE.FEEDBACK", "h", "none", "HIT")).toBeNull();
  });

  test("a false report without a distance counts as one at the entry's own", async () => {
    await redis.call("VSTORE.CACHE.CREATE", "n", "DIM", 2, "WITHIN", 0.1);
    await redis.call("VSTORE.CACHE.SET", "n", "FP32", east, "VALUE", "v", "ID", "1");
    expect(Number(await redis.call("VSTORE.CACHE.FEEDBACK", "n", "1", "FALSE"))).toBe(justBelow(0.1));
  });

  test("CACHE.INFO counts entries, bytes and answers, of the cache and of a scope", async () => {
    await redis.call("VSTORE.CACHE.CREATE", "i", "DIM", 2, "SCOPE", 1, "tenant", "ERRORRATE", 0.1);
    const set = (value: string, id: string, tenant: string) =>
      redis.call(
        "VSTORE.CACHE.SET",
        "i",
        "FP32",
        east,
        ...["VALUE", value, "ID", id, "COST", 250],
        ...scopeWords({ tenant }),
      );
    await set("12345", "1", "acme");
    await set("123", "2", "globex");
    await cacheGet(redis, "i", "FP32", near, ...acme);
    await cacheGet(redis, "i", "FP32", fp32(0, 1), ...acme);
    await cacheGet(redis, "i", "FP32", fp32(0, 1), "VERIFY", 1, ...acme);
    await redis.call("VSTORE.CACHE.FEEDBACK", "i", "1", "FALSE");
    const counts = { hits: 1, exact_hits: 0, verifies: 1, misses: 1, false_hits: 1, saved_ms: 250 };
    const ofAll = { max_bytes: 0, evictions: 0, within: 0.1, error_rate: 0.1 };
    expect(await info("i")).toEqual({ entries: 2, bytes: 8, ...counts, ...ofAll });
    expect(await info("i", ...acme)).toEqual({ entries: 1, bytes: 5, ...counts });
    const none = { hits: 0, exact_hits: 0, verifies: 0, misses: 0, false_hits: 0, saved_ms: 0 };
    expect(await info("i", ...scopeWords({ tenant: "globex" }))).toEqual({ entries: 1, bytes: 3, ...none });
    await expect(info("i", "SCOPE", "1", "user", "x")).rejects.toThrow("'user' is no field");
  });

  test("an ERRORRATE that is no share is refused", async () => {
    await expect(redis.call("VSTORE.CACHE.CREATE", "e", "DIM", 2, "ERRORRATE", 1)).rejects.toThrow(
      "'ERRORRATE' must be a number from 0 to less than 1",
    );
  });
});
