/**
 * Which follows a key belongs to, among many: all whose prefix it has, and asking costs the same however many there
 * are.
 */
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { connectClient } from "../harness/serving.ts";

let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = connectClient(server.url);
});
afterEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const logOf = (collection: string) => `vstore:{${collection}}:log`;

/** Tells the module that these collections follow these prefixes, and gives them empty logs. */
async function follow(prefixes: ReadonlyMap<string, string>): Promise<void> {
  const all = redis.pipeline();
  for (const name of prefixes.keys())
    all.xgroup("CREATE", logOf(name), "none", "$", "MKSTREAM").hset("vstore:synced", name, "synced");
  const netstring = (bytes: string) => Buffer.from(`${bytes.length}:${bytes},`, "latin1");
  const fields = [...prefixes].flatMap(([name, prefix]) => [name, netstring(prefix)]);
  await all.hset("vstore:follows", ...fields).exec();
}

/** Collection → the keys that its log says have gone. */
async function told(names: Iterable<string>): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const name of names) {
    const entries = await redis.xrangeBuffer(logOf(name), "-", "+");
    found.set(name, entries.map(([, fields]) => fields.at(-1)!.toString("latin1")).sort());
  }
  return found;
}

test("a key goes from every collection whose prefix it has, nested and equal ones too, and from no other", async () => {
  const random = generator(testSeed());
  const below = (end: number) => Math.floor(random() * end);
  const word = (longest: number) =>
    Array.from({ length: 1 + below(longest) }, () => "ab\xff"[below(3)]).join("");
  const prefixes = new Map(Array.from({ length: 60 }, (_, i) => [`c${i}`, word(5)] as const));
  const keys = [...new Set(Array.from({ length: 300 }, () => word(7)))];
  await follow(prefixes);
  const bytes = keys.map((key) => Buffer.from(key, "latin1"));
  await redis.mset(...bytes.flatMap((key) => [key, "value"]));
  for (const key of bytes) await redis.del(key);
  const wanted = new Map<string, string[]>();
  for (const [name, prefix] of prefixes)
    wanted.set(name, keys.filter((key) => key.startsWith(prefix)).sort());
  const found = await told(prefixes.keys());
  expect(found).toEqual(wanted);
});

test("a log that goes is a loss of its own collection", async () => {
  await follow(new Map(["a", "b", "c"].map((name): [string, string] => [name, `${name}:`])));
  await redis.del(logOf("b"), "a:none");
  expect((await redis.hkeys("vstore:synced")).sort()).toEqual(["a", "c"]);
});

describe("1,000 follows", () => {
  const rounds = 5;
  const calls = 4_000;

  /** Microseconds of Redis' time for each of many HSETs of keys that no collection follows. */
  async function costOfHset(): Promise<number> {
    await redis.config("RESETSTAT");
    const all = redis.pipeline();
    for (let i = 0; i < calls; i++) all.hset(`other:${i % 100}`, "field", i);
    await all.exec();
    return Number(/cmdstat_hset:.*usec_per_call=([\d.]+)/.exec(await redis.info("commandstats"))![1]);
  }

  test("make an HSET of a key that no collection follows no dearer than one follow does", async () => {
    const many = new Map(Array.from({ length: 1_000 }, (_, i) => [`c${i}`, `c${i}:`] as const));
    const one: number[] = [];
    const thousand: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await redis.flushall();
      await follow(new Map([["c", "c:"]]));
      one.push(await costOfHset());
      await follow(many);
      thousand.push(await costOfHset());
    }
    // The quietest round of each: what else the machine does only adds. Comparing with each prefix made it eight times
    // as dear.
    expect(Math.min(...thousand)).toBeLessThan(2 * Math.min(...one));
  });
});
