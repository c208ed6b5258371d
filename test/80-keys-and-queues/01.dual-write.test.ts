/**
 * `MULTI; HSET doc:1 …; VSTORE.INSERT docs doc:1 …; EXEC`, and the same in Lua and in a function, are both or neither:
 * while the sidecar is killed at any moment, and Redis too, and wherever the AOF ends.
 */
import { readFileSync, truncateSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterEach, expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { vectorKeys } from "../harness/following.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";
import { NO_CHECKPOINTS } from "../harness/stage.ts";

const KEYS = 300;
const WRITERS = 4;
const KILLS = 4;
/** Between two kills; the lease of a killed sidecar, 5 s, is let to run out now and then. */
const PAUSE_MS_MAX = 1_500;

const write =
  "redis.call('HSET', KEYS[1], 'n', ARGV[1]) redis.call('VSTORE.INSERT', 'docs', KEYS[1], 'FP32', ARGV[2])";
const erase = "redis.call('DEL', KEYS[1]) redis.call('VSTORE.DEL', 'docs', KEYS[1])";
const library = `#!lua name=dual
redis.register_function('dual_write', function(KEYS, ARGV) ${write} end)
redis.register_function('dual_erase', function(KEYS, ARGV) ${erase} end)`;

let server: RedisServer;
let sidecar: SidecarProcess;
let dataDir: string;
const clients: Redis[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  await sidecar.kill();
  await server.stop();
});

function join(checkpointIntervalMs = 1_000): void {
  const env = { VSTORE_CHECKPOINT_INTERVAL_MS: String(checkpointIntervalMs) };
  sidecar = startSidecar({ redisUrl: server.url, dataDir, env });
}

/** One that never sends anything again by itself: a client that is cut off does not know what became of its command. */
function writer(): Redis {
  const client = new Redis(server.url, {
    protocol: 2,
    retryStrategy: () => 50,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
  });
  client.on("error", () => {});
  clients.push(client);
  return client;
}

type Change = (client: Redis, key: string, value: number) => Promise<unknown>;
const writes: Change[] = [
  (client, key, value) =>
    client.multi().hset(key, "n", value).call("VSTORE.INSERT", "docs", key, "FP32", fp32(value, 1)).exec(),
  (client, key, value) => client.eval(write, 1, key, value, fp32(value, 1)),
  (client, key, value) => client.fcall("dual_write", 1, key, value, fp32(value, 1)),
];
const erasures: Change[] = [
  (client, key) => client.multi().del(key).call("VSTORE.DEL", "docs", key).exec(),
  (client, key) => client.eval(erase, 1, key),
  (client, key) => client.fcall("dual_erase", 1, key),
];

/** Every key with its number: what Redis has, and what the vectors have. */
async function hashes(redis: Redis): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const key of await redis.keys("doc:*")) found.set(key, Number(await redis.hget(key, "n")));
  return found;
}

async function vectors(redis: Redis): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const key of await vectorKeys(redis, "docs")) {
    const vector = (await redis.call("VSTORE.GET", "docs", key)) as string[] | null;
    found.set(key, Number(vector?.[0]));
  }
  return found;
}

const sorted = (all: Map<string, number>) => JSON.stringify([...all].sort(([a], [b]) => (a < b ? -1 : 1)));

/** Changes keys of its own until told to stop; an error may only be that of a connection that was cut. */
async function change(
  client: Redis,
  own: number,
  random: () => number,
  isOver: () => boolean,
): Promise<number> {
  let done = 0;
  while (!isOver()) {
    const key = `doc:${own + WRITERS * Math.floor((random() * KEYS) / WRITERS)}`;
    const changes = random() < 0.7 ? writes : erasures;
    const act = changes[Math.floor(random() * changes.length)]!;
    try {
      const replies = await act(client, key, Math.floor(random() * 1e6));
      for (const [error] of Array.isArray(replies) ? replies : []) if (error) throw error;
      done++;
    } catch (error) {
      if (!/closed|ECONN|max retries|LOADING|EPIPE|Stream isn't/i.test(String(error))) throw error;
      await sleep(20);
    }
  }
  return done;
}

async function start(checkpointIntervalMs?: number): Promise<Redis> {
  server = await startRedis({ appendonly: "always" });
  dataDir = temporaryDirectory();
  join(checkpointIntervalMs);
  await sidecar.waitReady();
  const redis = connectClient(server.url);
  clients.push(redis);
  await redis.call("VSTORE.CREATE", "docs", "DIM", 2, "METRIC", "L2");
  await redis.function("LOAD", library);
  return redis;
}

test("both or neither, whatever is killed", { timeout: 180_000 }, async () => {
  const random = generator(testSeed());
  const redis = await start();
  let isOver = false;
  const writers = Array.from({ length: WRITERS }, (_, own) =>
    change(writer(), own, generator(Math.floor(random() * 2 ** 31)), () => isOver),
  );
  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(random() * PAUSE_MS_MAX);
    await sidecar.kill();
    if (random() < 0.5) {
      await server.kill();
      await server.restart();
    }
    if (random() < 0.3) await sleep(5_500); // until Redis knows that no sidecar is attached
    join();
    if (random() < 0.5) await sidecar.waitReady();
  }
  isOver = true;
  const done = await Promise.all(writers);
  expect(Math.min(...done)).toBeGreaterThan(50);
  const wanted = sorted(await hashes(redis));
  await until(
    async () => sorted(await vectors(redis)),
    (seen) => seen === wanted,
  );
  expect(await redis.xlen("vstore:{docs}:errors")).toBe(0);
});

/** Where the commands of the last transaction begin in the AOF, and where the file ends. */
function lastTransaction(): { [command in "MULTI" | "HSET" | "XADD" | "EXEC" | "end"]: number } {
  const bytes = readFileSync(server.aofPath, "latin1");
  const begin = bytes.lastIndexOf("*1\r\n$5\r\nMULTI\r\n");
  const nameAt = (name: string) => begin + bytes.slice(begin).search(new RegExp(`\r\n${name}\r\n`, "i"));
  const of = (name: string) => bytes.lastIndexOf("*", nameAt(name));
  const found = { MULTI: begin, HSET: of("HSET"), XADD: of("XADD"), EXEC: of("EXEC"), end: bytes.length };
  const positions = Object.values(found);
  expect(positions).toEqual([...positions].sort((a, b) => a - b));
  return found;
}

type Offset = (at: ReturnType<typeof lastTransaction>) => number;

test.each<[string, Offset, number]>([
  ["after MULTI", (at) => at.HSET, 5],
  ["after HSET", (at) => at.XADD, 5],
  ["within XADD", (at) => Math.floor((at.XADD + at.EXEC) / 2), 5],
  ["before EXEC", (at) => at.EXEC, 5],
  ["within EXEC", (at) => at.end - 1, 5],
  ["nowhere", (at) => at.end, 6],
])("both or neither, where the AOF ends in the last transaction: %s", async (_, offset, whole) => {
  const redis = await start(NO_CHECKPOINTS);
  await sleep(500); // BullMQ runs a new schedule once at the beginning
  for (let i = 0; i < 5; i++) await writes[0]!(redis, `doc:${i}`, i);
  await sidecar.kill(); // so that no sidecar has applied the last one, and the files have none
  await redis.del("vstore:leader"); // no sidecar has to wait until its lease has run out
  await writes[0]!(redis, "doc:5", 5);
  await server.kill();
  truncateSync(server.aofPath, offset(lastTransaction()));
  await server.restart();
  join();
  await sidecar.waitReady();
  const expected = Array.from({ length: whole }, (_, i): [string, number] => [`doc:${i}`, i]);
  expect([...(await hashes(redis))].sort()).toEqual(expected);
  expect([...(await vectors(redis))].sort()).toEqual(expected);
});
