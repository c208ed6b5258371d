/**
 * Many keys under random DEL, EXPIRE, RENAME, overwrites and eviction, while the sidecar is killed three times: when
 * the dust has settled the vectors are those of the keys that are left, exactly. Then the same in peace: the log alone
 * has to do it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ChainableCommander, Redis } from "ioredis";
import { afterEach, expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { looksOf, redisKeys, untilInStep, untilVectors, vectorKeys } from "../harness/following.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient } from "../harness/serving.ts";

/** Hashes. `CHURN_KEYS=100000 npx vitest run follow-churn` takes a minute and a half. */
const KEYS = Number(process.env.CHURN_KEYS ?? 6_000);
/** Keys whose vectors are inserted beside them. */
const PLAIN_KEYS = KEYS / 4;
const CHANGES = KEYS;
const BATCH = 500;
const KILLS = 3;
const EXPIRY_MS_MAX = 2_000;
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
const pick = (random: Random, kinds: (() => unknown)[]) => kinds[below(random, kinds.length)]!();
const filler = "x".repeat(200);
const write = (all: ChainableCommander, key: string, n: number) =>
  all.hset(key, { v: fp32(n, 1), n, filler });

/** The value begins with the key's own name, which it keeps where it is moved; a vector does not go with it. */
function writePlain(all: ChainableCommander, key: string, n: number): void {
  const text = `${key} ${n} ${filler}`;
  all.call("MULTI");
  if (n % 2 === 0) all.set(key, text);
  else all.del(key).hset(key, "text", text);
  all.call("VSTORE.INSERT", "p", key, "FP32", fp32(n, 1)).call("EXEC");
}

/** One random change of one random hash. */
function change(all: ChainableCommander, random: Random): void {
  const key = `doc:${below(random, KEYS)}`;
  pick(random, [
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
  ]);
}

/** Of a plain key. Nothing moves back to where it has been: its name would be right again, and its vector gone. */
function changePlain(all: ChainableCommander, random: Random): void {
  const key = `plain:${below(random, PLAIN_KEYS)}`;
  const other = `plain:new:${below(random, PLAIN_KEYS)}`;
  pick(random, [
    () => all.del(key),
    () => all.unlink(other),
    () => all.pexpire(key, 1 + below(random, EXPIRY_MS_MAX)),
    () => all.rename(key, other),
    () => all.rename(key, `elsewhere:${below(random, PLAIN_KEYS)}`),
    () => all.copy(key, other, "REPLACE"),
    () => writePlain(all, key, below(random, 1e6)),
    () => writePlain(all, other, below(random, 1e6)),
    () => all.hincrby(key, "counter", 1),
    () => all.hdel(key, "text", "counter"),
  ]);
}

async function inBatches(count: number, add: (all: ChainableCommander, i: number) => void): Promise<void> {
  for (let from = 0; from < count; from += BATCH) {
    const all = redis.pipeline();
    for (let i = from; i < Math.min(count, from + BATCH); i++) add(all, i);
    await all.exec(); // some fail, as some keys are gone or hold something else
  }
}

const changeMany = (count: number, random: Random) =>
  inBatches(count, (all, i) => (i % 4 === 3 ? changePlain(all, random) : change(all, random)));

type Ask = (all: ChainableCommander, key: string) => unknown;

/** For each of the keys what the commands reply; undefined is an error. */
async function replies(keys: readonly string[], ask: Ask): Promise<[string, unknown[]][]> {
  const found: [string, unknown[]][] = [];
  for (let from = 0; from < keys.length; from += BATCH) {
    const part = keys.slice(from, from + BATCH);
    const all = redis.pipeline();
    for (const key of part) ask(all, key);
    const answers = (await all.exec())!.map(([error, reply]) => (error ? undefined : reply));
    const each = answers.length / part.length;
    for (const [at, key] of part.entries()) found.push([key, answers.slice(at * each, (at + 1) * each)]);
  }
  return found;
}

/** Keys and the bytes of their vectors, as text. */
type Vectors = Map<string, string>;

/** The keys whose hashes hold a vector now. */
async function wantedHashes(): Promise<Vectors> {
  const values = await replies(await redisKeys(redis, "doc:"), (all, key) => all.hgetBuffer(key, "v"));
  const blobs = values.map(([key, [blob]]) => [key, blob as Buffer | undefined] as const);
  return new Map(blobs.flatMap(([key, blob]) => (blob?.length === 8 ? [[key, blob.toString("hex")]] : [])));
}

/** The plain keys whose value was written beside a vector of the same name. */
async function wantedPlain(): Promise<Vectors> {
  const values = await replies(await redisKeys(redis, "plain:"), (all, key) =>
    all.get(key).hget(key, "text"),
  );
  const texts = values.map(([key, [value, field]]) => [key, String(value ?? field).split(" ")] as const);
  const own = texts.filter(([key, [name]]) => name === key);
  return new Map(own.map(([key, [, n]]) => [key, fp32(Number(n), 1).toString("hex")]));
}

async function vectors(collection: string): Promise<Vectors> {
  const ask: Ask = (all, key) => all.callBuffer("VSTORE.GET", collection, key, "RAW");
  const blobs = await replies(await vectorKeys(redis, collection), ask);
  return new Map(blobs.map(([key, [blob]]) => [key, (blob as Buffer).toString("hex")]));
}

async function expectVectors(collection: string, expected: Vectors): Promise<void> {
  await untilVectors(redis, collection, [...expected.keys()]);
  const found = await vectors(collection);
  expect([...expected].filter(([key, blob]) => found.get(key) !== blob)).toEqual([]);
}

async function statistic(section: string, name: string): Promise<number> {
  return Number(new RegExp(`${name}:(\\d+)`).exec(await redis.info(section))![1]);
}

async function start(): Promise<void> {
  server = await startRedis({ args: ["--maxmemory-policy", "allkeys-lru"] });
  redis = connectClient(server.url);
  dataDir = temporaryDirectory();
  join();
  await sidecar.waitReady();
  const from = ["FROM", "HASH", "FIELD", "v", "ATTRS", "n"];
  await redis.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2", "FOLLOW", "PREFIX", "doc:", ...from);
  await redis.call("VSTORE.CREATE", "p", "DIM", 2, "METRIC", "L2", "FOLLOW", "PREFIX", "plain:");
  await inBatches(KEYS, (all, i) => write(all, `doc:${i}`, i));
  await inBatches(PLAIN_KEYS, (all, i) => writePlain(all, `plain:${i}`, i));
}

/** Returns how many keys were evicted. */
async function churn(random: Random): Promise<number> {
  const used = await statistic("memory", "used_memory");
  await redis.config("SET", "maxmemory", Math.floor(used * MEMORY_SHARE));
  for (let part = 0; part <= KILLS; part++) {
    await changeMany(CHANGES / (KILLS + 1) / 2, random);
    if (part < KILLS) await sidecar.kill();
    await changeMany(CHANGES / (KILLS + 1) / 2, random);
    if (part < KILLS) join();
    await sidecar.waitReady();
  }
  await redis.config("SET", "maxmemory", 0);
  return statistic("stats", "evicted_keys");
}

/** All that expires has expired, and the log has told everything. */
async function untilAllApplied(): Promise<void> {
  await sleep(EXPIRY_MS_MAX);
  for (const each of ["c", "p"]) await untilInStep(redis, each);
}

/**
 * An evicted log takes what was inserted and not applied yet with it, and no look at all keys knows that. So the owner
 * of the plain keys has to write them anew; returns how many.
 */
async function mendPlain(): Promise<number> {
  const [wanted, found] = [await wantedPlain(), await vectors("p")];
  const keys = await redisKeys(redis, "plain:");
  expect([...found.keys()].filter((key) => !keys.includes(key))).toEqual([]);
  const wrong = keys.filter((key) => wanted.get(key) !== found.get(key));
  await inBatches(wrong.length, (all, i) => writePlain(all, wrong[i]!, i));
  return wrong.length;
}

test("the vectors are those of the keys that are left", { timeout: 300_000 }, async () => {
  const random = generator(testSeed());
  await start();
  const evicted = await churn(random);
  await untilAllApplied();
  const hashes = await wantedHashes();
  await expectVectors("c", hashes);
  expect(evicted).toBeGreaterThan(KEYS / 100);
  const lost = await statistic("vstore", "followed_lost");
  const mended = await mendPlain();
  if (lost === 0) expect(mended).toBe(0);
  console.log(`${hashes.size} of ${KEYS} hashes are left, ${evicted} keys were evicted`);
  console.log(`${lost} losses, ${mended} of ${(await wantedPlain()).size} plain keys had to be written anew`);

  const looks = looksOf(sidecar);
  await changeMany(CHANGES / 2, random);
  await untilAllApplied();
  await expectVectors("c", await wantedHashes());
  await expectVectors("p", await wantedPlain());
  expect([looksOf(sidecar), await statistic("vstore", "followed_lost")]).toEqual([looks, lost]);
});
