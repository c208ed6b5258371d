/** TTL: a hit leaves the time that an entry has left as it is, or with SLIDING renews it, within a bound. */
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { renewedDeadline } from "../../src/commands/cache/sliding.ts";
import { cacheGet } from "../harness/caches.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";

let vstore: Vstore;
let redis: Redis;
const east = fp32(1, 0);
const seconds = 16;

beforeAll(async () => {
  vstore = await startVstore();
  redis = connectClient(vstore.url);
});
afterAll(async () => {
  redis.disconnect();
  await vstore.stop();
});

/** A cache with one entry, of whose life more than a sixteenth has passed. */
async function withAgedEntry(name: string, ...options: string[]): Promise<() => Promise<[number, number]>> {
  await redis.call("VSTORE.CACHE.CREATE", name, "DIM", 2, "EX", seconds, ...options);
  await redis.call("VSTORE.CACHE.SET", name, "FP32", east, "VALUE", "v", "ID", "1");
  const key = `{${name}}:1`;
  const left = async (): Promise<[number, number]> => [
    await redis.pttl(key),
    Number(await redis.call("VSTORE.PTTL", name, key)),
  ];
  await until(left, ([value]) => value < 1_000 * seconds - 2_200);
  return left;
}

test("with SLIDING a hit renews value and vector", async () => {
  const left = await withAgedEntry("sliding", "TTL", "SLIDING");
  const [before] = await left();
  expect(await cacheGet(redis, "sliding", "FP32", east)).toMatchObject({ status: "hit" });
  await until(left, ([value, vector]) => value > before && Math.abs(value - vector) < 500);
  const entries = await redis.xlen("vstore:{sliding}:log");
  // Hits of the same sixteenth ask for the same, and nothing is written for them.
  for (let i = 0; i < 20; i++) await cacheGet(redis, "sliding", "FP32", east);
  expect(await redis.xlen("vstore:{sliding}:log")).toBeLessThanOrEqual(entries + 10);
});

test.each([[[]], [["TTL", "FIXED"]]])("with %j it does not", async (options) => {
  const name = `fixed${options.length}`;
  const left = await withAgedEntry(name, ...options);
  const [before] = await left();
  expect(await cacheGet(redis, name, "FP32", east)).toMatchObject({ status: "hit" });
  await redis.call("VSTORE.WAIT", name);
  const [value, vector] = await left();
  expect(value).toBeLessThanOrEqual(before);
  expect(vector).toBeLessThanOrEqual(before);
});

test("nor does the hit of a user that may read values and not renew them", async () => {
  const left = await withAgedEntry("others", "TTL", "SLIDING");
  await redis.acl(
    "SETUSER",
    "reader",
    "reset",
    "on",
    ">pw",
    "+vstore.cache.get",
    "+get",
    "~others",
    "%R~{others}:*",
  );
  const client = new Redis(vstore.url, {
    protocol: 2,
    username: "reader",
    password: "pw",
    enableReadyCheck: false,
  });
  onTestFinished(() => client.disconnect());
  const [before] = await left();
  expect(await cacheGet(client, "others", "FP32", east)).toMatchObject({ value: "v" });
  await redis.call("VSTORE.WAIT", "others");
  expect((await left())[0]).toBeLessThanOrEqual(before);
  expect(await cacheGet(redis, "others", "FP32", east)).toMatchObject({ value: "v" });
  await until(left, ([value]) => value > before);
});

test("deadlines are whole steps, and at most ten lives after the SET", () => {
  const facts = { value: "", bytes: 1, at: 1_000, ttl: 160 };
  expect(renewedDeadline(facts, 1_160, 1_009)).toBeUndefined();
  expect(renewedDeadline(facts, 1_160, 1_010)).toBe(1_170);
  expect(renewedDeadline(facts, 1_170, 1_019)).toBeUndefined();
  expect(renewedDeadline(facts, 1_170, 2_439)).toBe(2_590);
  expect(renewedDeadline(facts, 2_590, 2_500)).toBe(2_600);
  expect(renewedDeadline(facts, 2_600, 2_590)).toBeUndefined();
  expect(
    renewedDeadline({ value: "", bytes: 1, at: 1_000 }, Number.POSITIVE_INFINITY, 2_000),
  ).toBeUndefined();
});
