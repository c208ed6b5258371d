/** Followers that get what they lack from the leader, through Redis, whatever breaks on the way. */
import { createHash } from "node:crypto";
import { readdirSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import type { Collection } from "../../src/engine/collection.ts";
import { fp32Of } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";
import { Wire } from "../harness/wire.ts";

const dimensions = 1_024;
const keys = 4_000;
const batch = 500;
/** Of what a follower has got when something breaks: less than half of the collection. */
const breakBytes = 5 * 1024 * 1024;
/** What the pieces of one follower may take in Redis, with what the stream itself takes. */
const redisBytesMax = 4.5 * 1024 * 1024;

const stage = eachTestOnStage();
const random = generator(testSeed());
let redis: Redis;

beforeEach(() => {
  redis = connectClient(stage.server.url);
});
afterEach(() => redis.disconnect());

const call = (command: string, ...args: (string | number | Buffer)[]) =>
  redis.call(`VSTORE.${command}`, ...args) as Promise<unknown>;
const insert = (key: string) =>
  call("INSERT", "c", key, "FP32", fp32Of(randomVector(random, dimensions)), "SETATTR", `{"key":"${key}"}`);

async function pairsOf(command: string): Promise<[unknown, unknown][]> {
  const flat = (await call(command)) as unknown[];
  return flat.flatMap((name, at): [unknown, unknown][] => (at % 2 === 0 ? [[name, flat[at + 1]]] : []));
}

async function fill(from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += batch) {
    const names = Array.from({ length: batch }, (_, i) => `k${at + i}`);
    const vectors = fp32Of(randomVector(random, batch * dimensions));
    const texts = names.map((_, i) => `{"n":${at + i}}`);
    await call("MINSERT", "c", batch, ...names, "FP32", vectors, "SETATTR", ...texts);
  }
}

/** A leader whose logs are trimmed: a follower with an empty directory lacks everything. */
async function lead(): Promise<SidecarProcess> {
  const leader = stage.join();
  await leader.waitReady();
  // An index that is soon built: what it finds is not what these tests are about.
  await call("CREATE", "c", "DIM", dimensions, "M", 8, "EF_CONSTRUCTION", 40);
  await fill(0, keys);
  await call("DEL", "c", "k0", "k1");
  await call("BUILD", "c", "WAIT");
  await call("CHECKPOINT", "c");
  await until(
    () => redis.xlen("vstore:{c}:log"),
    (length) => length === 0,
  );
  return leader;
}

function follow(redisUrl: string = stage.server.url, dataDir?: string): SidecarProcess {
  const env = { VSTORE_ROLE: "follower" };
  return stage.join({ checkpointIntervalMs: 1_000, env, redisUrl, ...(dataDir && { dataDir }) });
}

/** Waits until each follower has made durable what the log ends with. */
async function untilDurable(followers: number): Promise<void> {
  const [end] = (await call("WAIT", "c")) as unknown[];
  const durable = async () => {
    const ids = Object.keys(await redis.hgetall("vstore:followers"));
    return Promise.all(ids.map((id) => redis.hget(`vstore:follower:${id}`, "c")));
  };
  await until(durable, (all) => all.filter((id) => id === end).length === followers);
}

async function filesOf(sidecar: SidecarProcess): Promise<Collection> {
  await sidecar.stop();
  const catalog = await Catalog.open(sidecar.dataDir);
  onTestFinished(() => catalog.close());
  return catalog.get("c");
}

/** Every key, vector and attributes, and what the index says about some of them. */
async function contentOf(collection: Collection): Promise<unknown> {
  const lines: string[] = [];
  for (let cursor = 0, isFirst = true; isFirst || cursor !== 0; isFirst = false) {
    const page = collection.scan(cursor, 1_000);
    for (const key of page.keys) {
      const hash = createHash("sha256").update(Buffer.from(collection.get(key)!.slice().buffer));
      lines.push(`${Buffer.from(key)} ${hash.digest("hex")} ${collection.getAttributes(key)}`);
    }
    cursor = page.cursor;
  }
  const nearest: unknown[] = [];
  for (const key of ["k2", "k2500", "k3999"]) {
    const vector = collection.get(Buffer.from(key))!;
    const hits = await collection.search(vector, { k: 3, ef: 100, exact: true });
    nearest.push(hits.map((hit) => String(Buffer.from(hit.key))));
    const [first] = await collection.search(vector, { k: 1, ef: 100 });
    nearest.push(String(Buffer.from(first!.key)));
  }
  return { lines: lines.sort(), nearest, position: collection.position };
}

async function expectEqual(leader: SidecarProcess, ...followers: SidecarProcess[]): Promise<void> {
  await untilDurable(followers.length);
  const expected = await contentOf(await filesOf(leader));
  for (const follower of followers) expect(await contentOf(await filesOf(follower))).toEqual(expected);
}

async function wireToRedis(): Promise<Wire> {
  const wire = await Wire.to(stage.server.url);
  onTestFinished(() => wire.close());
  return wire;
}

/** Stops a connection that has brought some pieces. @returns waits for that, and until no more pieces are sent */
function holdAfterSome(wire: Wire): () => Promise<void> {
  let isHeld = false;
  wire.fate = (_, total) => {
    isHeld ||= total >= breakBytes;
    return total < breakBytes ? "pass" : "hold";
  };
  const waiting = async () => redis.xlen((await redis.keys("vstore:snapshot:*"))[0] ?? "");
  return async () => {
    await until(
      () => isHeld,
      (is) => is,
    );
    await until(waiting, (length) => length === 16);
  };
}

/** Nothing of a snapshot is left in Redis. */
async function expectTidy(): Promise<void> {
  await until(
    async () => (await redis.exists("vstore:snapshots")) + (await redis.keys("vstore:snapshot:*")).length,
    (count) => count === 0,
  );
}

/** Of a line of the log. */
const bytesBefore = (sidecar: SidecarProcess, what: string) =>
  [...sidecar.stderr.matchAll(/.*/g)]
    .map(([line]) => line)
    .filter((line) => line.includes(what))
    .map((line) => Number(/"at":(\d+)/.exec(line)?.[1]));

test("two followers with empty directories get all of a collection while it is written to", async () => {
  const leader = await lead();
  const followers = [follow(), follow()];
  let isOver = false;
  let most = 0;
  const watching = (async () => {
    while (!isOver) {
      for (const key of await redis.keys("vstore:snapshot:*"))
        most = Math.max(most, Number(await redis.memory("USAGE", key, "SAMPLES", 0)));
      await delay(2);
    }
  })();
  let written = 0;
  while (!followers.every(({ stderr }) => stderr.includes("a snapshot has arrived")))
    await insert(`late${written++}`);
  isOver = true;
  await watching;
  await fill(keys, keys + batch);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(redisBytesMax);
  await expectTidy();
  await expectEqual(leader, ...followers);
});

test("a follower that is killed on the way goes on where it was", async () => {
  const leader = await lead();
  const wire = await wireToRedis();
  const held = holdAfterSome(wire);
  const first = follow(wire.url);
  await held();
  await first.kill();
  for (let i = 0; i < 10; i++) await insert(`late${i}`);
  const second = follow(stage.server.url, first.dataDir);
  await second.waitLog("a snapshot has arrived");
  expect(readdirSync(`${second.dataDir}/c-c`).join()).toContain("index-");
  expect(bytesBefore(second, "receiving a snapshot")[0]).toBeGreaterThan(1024 * 1024);
  await expectTidy();
  await expectEqual(leader, second);
});

test("a follower whose files are damaged gets those of the leader, and INFO tells how far they are", async () => {
  const leader = await lead();
  const first = follow();
  await first.waitLog("in step");
  await first.stop();
  writeFileSync(`${first.dataDir}/c-c/MANIFEST.json`, "{");
  const wire = await wireToRedis();
  const held = holdAfterSome(wire);
  const second = follow(wire.url, first.dataDir);
  await held();
  expect(second.stderr).toContain("its files are damaged; asking the leader for a snapshot");
  const facts = new Map((await pairsOf("INFO")) as [string, number][]);
  expect(facts.get("snapshot_bytes_done")).toBeGreaterThan(breakBytes / 2);
  expect(facts.get("snapshot_bytes")).toBeGreaterThan(facts.get("snapshot_bytes_done")!);
  wire.fate = () => "pass";
  wire.cut();
  await second.waitLog("a snapshot has arrived");
  await insert("late");
  await expectTidy();
  await expectEqual(leader, second);
});

test("a damaged piece and a broken connection cost only what was under way", async () => {
  const leader = await lead();
  const wire = await wireToRedis();
  let [spoilt, cuts] = [0, 0];
  wire.fate = (bytes, total) => {
    if (spoilt > 0) return total > breakBytes + 1024 * 1024 && cuts++ === 0 ? "cut" : "pass";
    // In the middle of a value, where no line of the protocol is near.
    const middle = bytes.length >> 1;
    const isInValue = bytes.length > 16_384 && !bytes.subarray(middle - 500, middle + 500).includes("\r\n");
    if (total < breakBytes || !isInValue) return "pass";
    spoilt++;
    const copy = Buffer.from(bytes);
    copy[middle]! ^= 0x40;
    return copy;
  };
  const follower = follow(wire.url);
  await follower.waitLog("a snapshot has arrived");
  expect(spoilt).toBe(1);
  expect(cuts).toBeGreaterThan(0);
  expect(follower.stderr).toContain("does not match its checksum; asking for it again");
  const [first, ...again] = bytesBefore(follower, "receiving a snapshot");
  expect(first).toBe(0);
  expect(again.length).toBeGreaterThan(0);
  for (const at of again) expect(at).toBeGreaterThan(1024 * 1024);
  await expectEqual(leader, follower);
});

test("the next leader sends its own files when the first one dies on the way", async () => {
  const leader = await lead();
  const wire = await wireToRedis();
  const held = holdAfterSome(wire);
  const follower = follow(wire.url);
  await held();
  await leader.kill();
  wire.fate = () => "pass";
  wire.cut();
  const next = stage.join({ dataDir: leader.dataDir });
  await next.waitReady();
  await insert("late");
  await follower.waitLog("a snapshot has arrived");
  expect(bytesBefore(follower, "receiving a snapshot").at(-1)).toBe(0);
  await expectTidy();
  await expectEqual(next, follower);
});
