/** FOLLOW PREFIX: a vector goes with the Redis key of the same name, through the log, once. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startRedis } from "../../harness/redis-server.ts";
import { startSidecar, startVstore, type Vstore } from "../../harness/sidecar.ts";
import { createFollowing, entriesOf, untilVectors, vectorKeys } from "../harness/following.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient } from "../harness/serving.ts";

let vstore: Vstore;
let redis: Redis;
let name: string;
let number = 0;

beforeAll(async () => {
  vstore = await startVstore({}, { env: { VSTORE_CHECKPOINT_INTERVAL_MS: "3600000" } });
  redis = connectClient(vstore.url);
});
afterAll(async () => {
  redis.disconnect();
  await vstore.stop();
});

/** A collection of its own, which follows `<name>:`, and a vector for each of the keys, which exist as hashes. */
async function follow(...keys: string[]): Promise<string[]> {
  name = `c${++number}`;
  await createFollowing(redis, name);
  const names = keys.map((key) => `${name}:${key}`);
  for (const key of names) await write(key);
  return names;
}

async function write(key: string): Promise<void> {
  await redis.multi().hset(key, "title", "t").call("VSTORE.INSERT", name, key, "FP32", fp32(1, 2)).exec();
}

type Act = (key: string) => Promise<unknown>;
const ends: Record<string, Act> = {
  DEL: (key) => redis.del(key),
  UNLINK: (key) => redis.unlink(key),
  "DEL of several": (key) => redis.del("nothing", key, "nothing:else"),
  "HDEL of the last field": (key) => redis.hdel(key, "title"),
  "EXPIRE in the past": (key) => redis.expire(key, -1),
  "PEXPIRE, found by the next who asks": async (key) => {
    await redis.pexpire(key, 5);
    await sleep(20);
    await redis.exists(key);
  },
  "PEXPIRE, which no client asks for": (key) => redis.pexpire(key, 5),
  "RENAME away": (key) => redis.rename(key, `elsewhere:${key}`),
  "RENAMENX away": (key) => redis.renamenx(key, `elsewhere:${key}`),
  "RENAME over it": async (key) => {
    await redis.set("other", "value");
    await redis.rename("other", key);
  },
  MOVE: (key) => redis.move(key, 1),
  "COPY over it": async (key) => {
    await redis.set("other", "value");
    await redis.copy("other", key, "REPLACE");
  },
  "RESTORE over it": async (key) => {
    await redis.set("other", "value");
    await redis.restore(key, 0, (await redis.dumpBuffer("other"))!, "REPLACE");
  },
  "a store of nothing over it": (key) => redis.sinterstore(key, "nothing", "nothing:else"),
  "Lua's DEL": (key) => redis.eval("return redis.call('DEL', KEYS[1])", 1, key),
  "DEL in MULTI": (key) => redis.multi().del(key).exec(),
};

describe("a vector goes with its key", () => {
  test.each(Object.entries(ends))("after %s, and the log says so once", async (_, end) => {
    const [key, other] = (await follow("1", "2")) as [string, string];
    await end(key);
    await untilVectors(redis, name, [other]);
    expect(await entriesOf(redis, name, key)).toEqual(["INSERT", "DEL"]);
    expect(await entriesOf(redis, name, other)).toEqual(["INSERT"]);
  });

  test("by its bytes, whatever they are, and not by a pattern", async () => {
    const prefix = Buffer.from([0x2a, 0x5b, 0x00, 0xff, 0x0d, 0x0a]);
    name = `c${++number}`;
    await redis.call("VSTORE.CREATE", name, "DIM", 2, "FOLLOW", "PREFIX", prefix);
    const key = Buffer.concat([prefix, Buffer.from([0, 0xfe])]);
    for (const each of [key, Buffer.from("*[x")]) {
      await redis.set(each, "v");
      await redis.call("VSTORE.INSERT", name, each, "FP32", fp32(1, 2));
      await redis.del(each);
    }
    await untilVectors(redis, name, ["*[x"]);
  });

  test("for each collection that follows it", async () => {
    const [key] = await follow("1");
    const second = `${name}b`;
    await redis.call("VSTORE.CREATE", second, "DIM", 2, "FOLLOW", "PREFIX", `${name}:`);
    await redis.call("VSTORE.INSERT", second, key!, "FP32", fp32(3, 4));
    await redis.del(key!);
    await untilVectors(redis, name, []);
    await untilVectors(redis, second, []);
  });
});

describe("a vector stays", () => {
  const changes: Record<string, Act> = {
    "its hash changes": (key) => redis.hset(key, "title", "other"),
    "its key is written over": (key) => redis.set(key, "a string now"),
    "its key gets an expiry": (key) => redis.expire(key, 1_000),
    "its key is persisted": (key) => redis.persist(key),
    "the key of the same name in another database is deleted": async (key) => {
      await redis.multi().select(1).set(key, "v").del(key).select(0).exec();
    },
    "keys with other prefixes are deleted": async (key) => {
      await redis.mset(`x${key}`, "v", name, "v");
      await redis.del(`x${key}`, name);
    },
  };

  test.each(Object.entries(changes))("when %s", async (_, change) => {
    const [key] = await follow("1");
    await change(key!);
    expect(await entriesOf(redis, name, key!)).toEqual(["INSERT"]);
    expect(await vectorKeys(redis, name)).toEqual([key]);
  });

  test.each(["MULTI", "Lua"])("when it is inserted after the DEL in the same %s", async (kind) => {
    const [key] = await follow("1");
    const script =
      "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[1], 'a', 'b') " +
      "redis.call('VSTORE.INSERT', ARGV[1], KEYS[1], 'FP32', ARGV[2])";
    const insert = ["VSTORE.INSERT", name, key!, "FP32", fp32(5, 6)] as const;
    if (kind === "Lua") await redis.eval(script, 1, key!, name, fp32(5, 6));
    else
      await redis
        .multi()
        .del(key!)
        .hset(key!, "a", "b")
        .call(...insert)
        .exec();
    await redis.call("VSTORE.CARD", name);
    expect(await entriesOf(redis, name, key!)).toEqual(["INSERT", "DEL", "INSERT"]);
    expect(await redis.call("VSTORE.GET", name, key!)).toEqual(["5", "6"]);
  });

  test("when its key was never one of Redis", async () => {
    await follow();
    await redis.call("VSTORE.INSERT", name, "plain", "FP32", fp32(1, 2));
    await redis.del("plain");
    expect(await vectorKeys(redis, name)).toEqual(["plain"]);
  });
});

describe("CREATE", () => {
  test.each(["", "v", "vstore:", "vstore:{c}:log", "x".repeat(257)])(
    "refuses the prefix '%s'",
    async (prefix) => {
      const create = redis.call("VSTORE.CREATE", "bad", "DIM", 2, "FOLLOW", "PREFIX", prefix);
      await expect(create).rejects.toThrow("'PREFIX' must be");
    },
  );

  test.each([
    [["FOLLOW"], "'FOLLOW' needs a value after it"],
    [["FOLLOW", "PREFIX"], "'PREFIX' needs a value after it"],
    [["FOLLOW", "doc:"], "'PREFIX' must stand here"],
    [["FOLLOW", "PREFIX", "d:", "FROM", "JSON"], "'HASH' must stand here"],
    [["FOLLOW", "PREFIX", "d:", "FROM", "HASH"], "'FIELD' is missing"],
    [["FOLLOW", "PREFIX", "d:", "FROM", "HASH", "FIELD", "f", "ATTRS"], "'ATTRS' needs a value after it"],
    [["FOLLOW", "PREFIX", "d:", "FROM", "HASH", "FIELD", "x".repeat(257)], "'FIELD' must be"],
    [
      ["FOLLOW", "PREFIX", "d:", "FROM", "HASH", "FIELD", "f", "ATTRS", ...Array(65).fill("a")],
      "'ATTRS' takes at most 64 values, got 65",
    ],
  ])("refuses %j", async (options, message) => {
    await expect(redis.call("VSTORE.CREATE", "bad", "DIM", 2, ...options)).rejects.toThrow(message);
  });

  test("takes as many attributes, and as long names, as the limits say", async () => {
    const words = ["FROM", "HASH", "FIELD", "f".repeat(256), "ATTRS", ...Array(64).fill("a")];
    const prefix = "p".repeat(256);
    expect(await redis.call("VSTORE.CREATE", "wide", "DIM", 2, "FOLLOW", "PREFIX", prefix, ...words)).toBe(
      "OK",
    );
    expect(await redis.hget("vstore:follows", "wide")).toContain(`256:${prefix},256:`);
  });

  test("takes other options behind the prefix", async () => {
    const create = () => redis.call("VSTORE.CREATE", "nx", "DIM", 2, "FOLLOW", "PREFIX", "nx:", "NX");
    expect(await create()).toBe("OK");
    expect(await create()).toBe(null);
  });
});

test("CREATE refuses to follow where no keys are followed: in another database", async () => {
  const server = await startRedis();
  const url = `${server.url}/1`;
  const sidecar = startSidecar({ redisUrl: url });
  const client = connectClient(url);
  onTestFinished(async () => {
    client.disconnect();
    await sidecar.kill();
    await server.stop();
  });
  await sidecar.waitReady();
  const create = client.call("VSTORE.CREATE", "c", "DIM", 2, "FOLLOW", "PREFIX", "c:");
  await expect(create).rejects.toThrow("'FOLLOW' needs a sidecar in database 0");
  expect(await client.call("VSTORE.LIST")).toEqual([]);
});

test("DROP ends the following", async () => {
  const [key] = await follow("1");
  await redis.call("VSTORE.DROP", name);
  expect(await redis.hexists("vstore:follows", name)).toBe(0);
  expect(await redis.hexists("vstore:synced", name)).toBe(0);
  await redis.call("VSTORE.CREATE", name, "DIM", 2);
  await redis.call("VSTORE.INSERT", name, key!, "FP32", fp32(1, 2));
  await redis.del(key!);
  expect(await vectorKeys(redis, name)).toEqual([key]);
});
