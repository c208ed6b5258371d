/** Figures: what INFO answers is declared, and /metrics says what happened. */
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { collectionFacts, storeFigures } from "../../src/bridge/figures.ts";
import { durationBounds, Tally } from "../../src/bridge/watch/tally.ts";
import { VstoreError } from "../../src/errors.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient } from "../harness/serving.ts";

/** Everything that a name may have. */
const unusual = "{a.b}:c-d@e_F";

let vstore: Vstore;
let redis: Redis;
let base: string;

beforeAll(async () => {
  const port = await freePort();
  vstore = await startVstore({}, { args: ["--http-port", String(port)] });
  base = `http://127.0.0.1:${port}`;
  redis = connectClient(vstore.url);
  await redis.call("VSTORE.CREATE", "docs", "DIM", 2);
  await redis.call(
    "VSTORE.CREATE",
    "followed",
    ...["DIM", 2, "FOLLOW", "PREFIX", "f:"],
    "FROM",
    "HASH",
    "FIELD",
    "v",
  );
  await redis.call("VSTORE.CREATE", unusual, "DIM", 2);
  await redis.call("VSTORE.CACHE.CREATE", "cached", "DIM", 2);
});

afterAll(async () => {
  redis?.disconnect();
  await vstore?.stop();
});

async function info(...collection: string[]): Promise<string[]> {
  const flat = (await redis.call("VSTORE.INFO", ...collection)) as string[];
  return flat.filter((_, i) => i % 2 === 0);
}

/** The value of each sample, by its name and labels as they are written. */
async function metrics(): Promise<Map<string, number>> {
  const text = await (await fetch(`${base}/metrics`)).text();
  const samples = text
    .trimEnd()
    .split("\n")
    .filter((line) => !line.startsWith("#"));
  return new Map(samples.map((line) => [line.replace(/ [^ ]*$/, ""), Number(line.split(" ").at(-1))]));
}

describe("every fact of VSTORE.INFO is declared as a figure, in its order", () => {
  const names = (figures: readonly { readonly name: string }[]) => figures.map(({ name }) => name);

  test("of the store", async () => {
    expect(await info()).toEqual(names(storeFigures));
  });

  test("of a collection", async () => {
    const during = ["follow_keys_done", "follow_keys_total"];
    const followed = await info("followed");
    const declared = names(collectionFacts).filter(
      (name) => followed.includes(name) || !(during.includes(name) || name.startsWith("cache_")),
    );
    expect(followed).toEqual(declared);
    expect(await info("docs")).toEqual(declared.filter((name) => !name.startsWith("follow_")));
    const cached = await info("cached");
    expect(cached.filter((name) => name.startsWith("cache_"))).toEqual(
      names(collectionFacts).filter((name) => name.startsWith("cache_")),
    );
    expect(cached.filter((name) => !name.startsWith("cache_") && name !== "follow_prefix")).toEqual(
      followed.filter((name) => !["follow_prefix", "follow_field"].includes(name)),
    );
  });
});

describe("/metrics", () => {
  test("counts answers by command and outcome, and how long they took", async () => {
    await redis.call("VSTORE.INSERT", "docs", "a", "FP32", fp32(1, 0));
    const before = await metrics();
    for (let i = 0; i < 5; i++) await redis.call("VSTORE.SEARCH", "docs", "FP32", fp32(1, 0));
    await expect(redis.call("VSTORE.SEARCH", "docs", "KEY", "none")).rejects.toThrow("NOKEY");
    await expect(redis.call("VSTORE.INSERT", "docs", "a", "FP32", "short")).rejects.toThrow("ERR");
    const after = await metrics();
    const grown = (name: string) => after.get(name)! - (before.get(name) ?? 0);
    expect(grown('vstore_requests_total{command="SEARCH",outcome="OK"}')).toBe(5);
    expect(grown('vstore_requests_total{command="SEARCH",outcome="NOKEY"}')).toBe(1);
    expect(grown('vstore_requests_total{command="INSERT",outcome="ERR"}')).toBe(1);
    const duration = "vstore_request_duration_seconds";
    expect(grown(`${duration}_count{command="SEARCH"}`)).toBe(6);
    expect(grown(`${duration}_bucket{command="SEARCH",le="+Inf"}`)).toBe(6);
    const seconds = grown(`${duration}_sum{command="SEARCH"}`);
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(30);
  });

  test("has the figures of collections, whatever their names are", async () => {
    const samples = await metrics();
    expect(samples.get('vstore_collection_vectors{collection="docs"}')).toBe(1);
    expect(samples.get(`vstore_collection_dimensions{collection="${unusual}"}`)).toBe(2);
    expect(samples.get('vstore_collection_log_lag_seconds{collection="docs"}')).toBe(0);
    expect(samples.get('vstore_collection_checkpoint_age_seconds{collection="docs"}')).toBeGreaterThan(0);
    await redis.call("VSTORE.CHECKPOINT", "docs");
    expect((await metrics()).get('vstore_collection_checkpoint_age_seconds{collection="docs"}')).toBe(0);
  });

  test("has the process, the store and the jobs, and only numbers", async () => {
    const samples = await metrics();
    expect(samples.get("vstore_serving")).toBe(1);
    expect(samples.get("vstore_collections")).toBe(4);
    expect(samples.get('vstore_collection_cache_hits_total{collection="cached"}')).toBe(0);
    expect(samples.get("vstore_resident_memory_bytes")).toBeGreaterThan(10_000_000);
    expect(samples.has('vstore_jobs{queue="vstore-checkpoint",state="failed"}')).toBe(true);
    expect([...samples].filter(([, value]) => !Number.isFinite(value))).toEqual([]);
    expect([...samples.keys()].filter((name) => !/^vstore_[a-z0-9_]+(\{.*\})?$/.test(name))).toEqual([]);
  });
});

describe("the figures of a cache", () => {
  const cache = (command: string, ...words: (string | number | Buffer)[]) =>
    redis.call(`VSTORE.CACHE.${command}`, "figures", ...words);
  const figure = async (name: string) =>
    (await metrics()).get(`vstore_collection_${name}{collection="figures"}`);

  test("are in /metrics: entries, bytes, and what it answered", async () => {
    await cache("CREATE", "DIM", 2, "WITHIN", 0.1);
    expect(await figure("cache_bytes")).toBe(0);
    await cache("SET", "FP32", fp32(1, 0), "VALUE", "12345", "ID", "1", "COST", 100);
    await cache("SET", "FP32", fp32(-1, 0), "VALUE", "123", "PROMPT", "why?", "COST", 20);
    await cache("GET", "FP32", fp32(1, 0.1));
    await cache("GET", "FP32", fp32(-1, 0), "PROMPT", "why?");
    await cache("GET", "FP32", fp32(0, 1));
    await cache("GET", "FP32", fp32(0, 1), "VERIFY", 1);
    await cache("FEEDBACK", "1", "FALSE");
    const expected = {
      vectors: 2,
      cache_bytes: 8,
      cache_hits_total: 2,
      cache_exact_hits_total: 1,
      cache_verifies_total: 1,
      cache_misses_total: 1,
      cache_false_hits_total: 1,
      cache_saved_ms_total: 120,
    };
    const names = Object.keys(expected);
    const found = await Promise.all(names.map(async (name) => [name, await figure(name)]));
    expect(Object.fromEntries(found)).toEqual(expected);
  });

  test("bytes follow what is replaced and deleted", async () => {
    await cache("SET", "FP32", fp32(1, 0), "VALUE", "1234567", "ID", "1");
    expect(await figure("cache_bytes")).toBe(10);
    await cache("DEL", "ID", "1");
    expect(await figure("cache_bytes")).toBe(3);
    const info = (await redis.call("VSTORE.INFO", "figures")) as (string | number)[];
    expect(info[info.indexOf("cache_bytes") + 1]).toBe(3);
    await redis.call("VSTORE.DROP", "figures");
  });
});

describe("a tally", () => {
  test("counts what is no command as OTHER, so that no client makes labels", () => {
    const tally = new Tally();
    for (const name of ["SEARCH", "X1", "X2", "__proto__", ""]) tally.count(name, performance.now(), {});
    expect([...tally.commands.keys()]).toEqual(["SEARCH", "OTHER"]);
    expect(tally.commands.get("OTHER")!.outcomes).toEqual(new Map([["OK", 4]]));
  });

  test("puts a duration into the class whose bound is not below it", () => {
    const tally = new Tally();
    tally.count("GET", performance.now() - 60_000, {});
    tally.count("GET", performance.now() - 3, { error: new VstoreError("NOKEY", "none") });
    const { durations, outcomes, seconds } = tally.commands.get("GET")!;
    expect(durations.at(-1)).toBe(1);
    const filled = durations.findIndex((times) => times > 0);
    expect(durationBounds[filled]).toBeGreaterThanOrEqual(0.003);
    expect(outcomes).toEqual(
      new Map([
        ["OK", 1],
        ["NOKEY", 1],
      ]),
    );
    expect(seconds).toBeGreaterThan(60);
  });
});
