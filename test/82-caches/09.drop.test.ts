/** DROP of a cache ends its values too, and nothing else, whatever dies meanwhile and whatever takes its name. */
import { readdirSync } from "node:fs";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { startRedis } from "../../harness/redis-server.ts";
import { startSidecar } from "../../harness/sidecar.ts";
import type { FailPoint } from "../../src/engine/fail-point.ts";
import { cacheGet, startCache } from "../harness/caches.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { connectClient, served, until } from "../harness/serving.ts";

const angle = (i: number) => fp32(Math.cos(i / 1e4), Math.sin(i / 1e4));

const setWords = (i: number) =>
  ["VSTORE.CACHE.SET", "c", "FP32", angle(i), "VALUE", `v${i}`, "ID", i] as const;

async function fill(redis: Redis, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => redis.call(...setWords(i))));
}

const values = async (redis: Redis) => (await redis.keys("{c}:*")).sort();
const untilValues = (redis: Redis, wanted: readonly string[]) =>
  until(
    () => values(redis),
    (found) => found.join(" ") === [...wanted].sort().join(" "),
  );

/** Neither Redis nor the files know of a DROP whose values have not ended. */
async function untilForgotten(redis: Redis, dataDir: string): Promise<void> {
  await until(
    async () => [
      ...(await redis.keys("vstore:*:dropped-*")),
      ...readdirSync(dataDir).filter((entry) => /^(ending|dropped)-/.test(entry)),
    ],
    (left) => left.length === 0,
  );
}

async function start(args?: string[]) {
  const dataDir = temporaryDirectory();
  const place = await startCache(["WITHIN", 0], { dataDir, ...(args && { args }) });
  return { ...place, dataDir };
}

test("ends what the entries have stored, and no other string under the prefix", async () => {
  const { sidecar, redis, dataDir } = await start();
  onTestFinished(() => sidecar.stop());
  await fill(redis, 700);
  await redis.set("{c}:1", "of another command");
  await redis.set("{c}:mine", "v2");
  await redis.call("VSTORE.CACHE.CREATE", "d", "DIM", 2);
  await redis.call("VSTORE.CACHE.SET", "d", "FP32", angle(0), "VALUE", "v0", "ID", "0");
  expect(await redis.call("VSTORE.DROP", "c")).toBe("OK");
  await untilValues(redis, ["{c}:1", "{c}:mine"]);
  await untilForgotten(redis, dataDir);
  expect(await cacheGet(redis, "d", "FP32", angle(0))).toMatchObject({ value: "v0" });
  await expect(redis.call("VSTORE.DROP", "c")).rejects.toThrow("NOCOLLECTION");
  expect(sidecar.stderr).toContain("ended the values of a dropped cache");
});

test("only for a user that may delete them", async () => {
  const { server, sidecar, redis, dataDir } = await start();
  onTestFinished(() => sidecar.stop());
  await fill(redis, 3);
  const rules = [
    "on",
    "nopass",
    "+vstore.drop",
    "~c",
    "%R~{c}:*",
    "+get",
    "+del",
    "~vstore:control",
    "+xadd",
  ];
  await redis.acl("SETUSER", "guest", "reset", ...rules);
  const guest = new Redis(server.url, {
    protocol: 2,
    username: "guest",
    password: "any",
    enableReadyCheck: false,
  });
  onTestFinished(() => guest.disconnect());
  await expect(guest.call("VSTORE.DROP", "c")).rejects.toThrow("NOPERM VSTORE.DROP of a cache");
  expect(await cacheGet(redis, "c", "FP32", angle(1))).toMatchObject({ value: "v1" });
  // An entry of vstore:control is for administrators: it drops the cache, and proves no right on other keys.
  await guest.xadd("vstore:control", "*", "cmd", "DROP", "at", Date.now(), "proof", "0".repeat(16), "0", "c");
  await until(
    () => redis.call("VSTORE.LIST"),
    (names) => (names as string[]).length === 0,
  );
  await untilForgotten(redis, dataDir);
  expect(await values(redis)).toEqual(["{c}:0", "{c}:1", "{c}:2"]);
});

test.each<FailPoint>(["control-before-follow-up", "values-half-ended", "values-before-forgotten"])(
  "goes on after the sidecar was killed at %s",
  async (point) => {
    const { server, sidecar: first, redis, dataDir } = await start();
    await fill(redis, 700);
    await first.stop();
    const second = startSidecar({ redisUrl: server.url, dataDir, env: { FAIL_POINT: point } });
    await second.waitReady();
    // Not in any checkpoint.
    await redis.call("VSTORE.CACHE.SET", "c", "FP32", angle(9_999), "VALUE", "late", "ID", "late");
    redis.call("VSTORE.DROP", "c").catch(() => {});
    await second.exit();
    await redis.del("vstore:leader"); // or the next one would wait for the lease
    const third = startSidecar({ redisUrl: server.url, dataDir });
    onTestFinished(() => third.stop());
    await third.waitReady();
    await untilValues(redis, []);
    await untilForgotten(redis, dataDir);
  },
);

test("also of what is set until the cache is gone", async () => {
  const { server, sidecar, redis, dataDir } = await start();
  onTestFinished(() => sidecar.stop());
  await fill(redis, 100);
  let [next, isGone] = [100, false];
  const setting = Array.from({ length: 4 }, async () => {
    const client = connectClient(server.url);
    // Both ways: a client that waits, and one that does not.
    while (!isGone) {
      const i = next++;
      const sent = client.call(...setWords(i), ...(i % 2 === 0 ? ["NOWAIT"] : []));
      isGone = await sent.then(
        () => false,
        (error) => String(error).includes("NOCOLLECTION"),
      );
    }
    client.disconnect();
  });
  await until(
    () => next,
    (count) => count > 400,
  );
  await redis.call("VSTORE.DROP", "c");
  await Promise.all(setting);
  await untilValues(redis, []);
  await untilForgotten(redis, dataDir);
});

test("the module spares what the log sets behind the entry that the sidecar knows", async () => {
  const server = await startRedis();
  const sidecar = await PlayedSidecar.attach(server.port);
  onTestFinished(async () => {
    sidecar.close();
    await server.stop();
  });
  const { redis } = sidecar;
  await sidecar.createLog("c");
  await redis.hset("vstore:follows", "c", "cache 0;4:{c}:,");
  const ids: string[] = [];
  const digests: string[] = [];
  for (const i of [0, 1]) {
    await redis.call(...setWords(i), "NOWAIT");
    const { id, fields } = await sidecar.take("vstore:{c}:log");
    ids.push(id);
    digests.push(fields.at(-7)!);
  }
  const release = (id: string, ...keys: number[]) =>
    redis.call("VSTORE.RELEASE", "c", "DROPPED", id, ...keys.flatMap((i) => [`{c}:${i}`, digests[i]!]));
  expect(await release("0-0", 0, 1)).toBe(0);
  expect(await release(ids[0]!, 0, 1)).toBe(1);
  expect(await values(redis)).toEqual(["{c}:1"]);
  for (let i = 0; i < 513; i++) await redis.call(...setWords(2), "NOWAIT");
  expect(await release(ids[0]!, 1)).toBe(-1);
  expect(await release((await redis.call(...setWords(2), "NOWAIT")) as string, 1)).toBe(1);
  expect(await values(redis)).toEqual(["{c}:2"]);
});

test.each(["on", "killed meanwhile"])(
  "spares a new cache of the name; the sidecar goes %s",
  async (fate) => {
    const random = generator(testSeed());
    const { server, sidecar: first, redis, dataDir } = await start();
    const count = 1_200;
    await fill(redis, count);
    await redis.call("VSTORE.DROP", "c");
    await redis.call("VSTORE.CACHE.CREATE", "c", "DIM", 2, "WITHIN", 0);
    const kept = new Set<number>();
    const setting = (async () => {
      for (let n = 0; n < 150; n++) {
        const i = Math.floor(random() * count);
        // The very same string under the very same key.
        await served(redis, ...setWords(i));
        kept.add(i);
      }
    })();
    let sidecar = first;
    if (fate !== "on") {
      await redis.config("SET", "vstore.timeout", 500);
      await first.kill();
      await redis.del("vstore:leader");
      sidecar = startSidecar({ redisUrl: server.url, dataDir });
    }
    onTestFinished(() => sidecar.stop());
    await setting;
    await untilForgotten(redis, dataDir);
    await untilValues(
      redis,
      [...kept].map((i) => `{c}:${i}`),
    );
    for (const i of kept)
      expect(await cacheGet(redis, "c", "FP32", angle(i))).toMatchObject({ value: `v${i}` });
    expect(await redis.call("VSTORE.CARD", "c")).toBe(kept.size);
  },
  120_000,
);
