/** What is left after the sidecar, Redis, or Redis' memory is gone. */

import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterEach, expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { modulePath, type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";

let server: RedisServer | undefined;
let sidecars: SidecarProcess[] = [];
let redis: Redis;

afterEach(async () => {
  redis?.disconnect();
  for (const sidecar of sidecars) await sidecar.kill();
  await server?.stop();
  server = undefined;
  sidecars = [];
});

async function start(appendonly: "no" | "everysec" | "always" = "no"): Promise<SidecarProcess> {
  server = await startRedis({ appendonly });
  redis = connect(server.url);
  const sidecar = join();
  await sidecar.waitReady();
  return sidecar;
}

/** Another sidecar for the same Redis; on the same files when they are named. */
function join(dataDir = temporaryDirectory()): SidecarProcess {
  const sidecar = startSidecar({ redisUrl: server!.url, dataDir });
  sidecars.push(sidecar);
  return sidecar;
}

function connect(url: string): Redis {
  const client = new Redis(url, { protocol: 2, retryStrategy: () => 50 });
  client.on("error", () => {});
  return client;
}

const blob = (value: number) => fp32(value, 1);
const insert = (i: number) => redis.call("VSTORE.INSERT", "c", `k${i}`, "FP32", blob(i));

async function createAndFill(count: number): Promise<void> {
  await redis.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
  for (let i = 0; i < count; i++) await insert(i);
}

async function expectAll(count: number): Promise<void> {
  expect(await served("VSTORE.CARD", "c")).toBe(count);
  for (let i = 0; i < count; i += 7) {
    expect(await redis.call("VSTORE.GET", "c", `k${i}`)).toEqual([String(i), "1"]);
  }
}

/** Asks until a sidecar serves. */
async function served(command: string, ...args: string[]): Promise<unknown> {
  for (;;) {
    try {
      return await redis.call(command, ...args);
    } catch (error) {
      if (!/VSTOREDOWN|TIMEOUT|closed|LOADING/.test(String(error))) throw error;
      await sleep(50);
    }
  }
}

test("a sidecar that is killed between acknowledged writes has lost none of them", async () => {
  const sidecar = await start();
  await createAndFill(50);
  await redis.call("VSTORE.CHECKPOINT", "c");
  for (let i = 50; i < 100; i++) await insert(i);
  await sidecar.kill();
  await join(sidecar.dataDir).waitReady();
  await expectAll(100);
});

test("a sidecar that is killed in the middle of writing has lost no acknowledged write", async () => {
  const sidecar = await start();
  await createAndFill(0);
  let acknowledged = 0;
  const writing = (async () => {
    for (let i = 0; ; i++) {
      await insert(i);
      acknowledged++;
    }
  })().catch(() => {});
  await sidecar.waitFor(() => acknowledged > 300, "writes");
  await sidecar.kill();
  await writing;
  await join(sidecar.dataDir).waitReady();
  const there = (await redis.call("VSTORE.CARD", "c")) as number;
  // The one that was under way may be there or not.
  expect(there - acknowledged).toBeGreaterThanOrEqual(0);
  expect(there - acknowledged).toBeLessThanOrEqual(1);
});

test("what was asked while the sidecar died is answered by the next one", async () => {
  const sidecar = await start();
  await createAndFill(3);
  await redis.config("SET", "vstore.timeout", "30000");
  process.kill(sidecar.pid, "SIGSTOP");
  const asked = redis.call("VSTORE.CARD", "c");
  await sidecar.kill();
  await join(sidecar.dataDir).waitReady();
  expect(await asked).toBe(3);
});

test.each(["always", "everysec"] as const)(
  "Redis is killed and restarted with appendfsync %s: all there, the sidecar goes on",
  async (appendonly) => {
    const sidecar = await start(appendonly);
    await createAndFill(100);
    if (appendonly === "everysec") await sleep(2_000);
    await server!.kill();
    await sidecar.waitLog("not serving");
    await server!.restart();
    await expectAll(100);
    await insert(100);
    await expectAll(101);
  },
);

test("Redis and the sidecar are both killed: all there, from the AOF", async () => {
  const sidecar = await start("always");
  await createAndFill(100);
  await sidecar.kill();
  await server!.kill();
  await server!.restart();
  await join(sidecar.dataDir).waitReady();
  await expectAll(100);
});

test("Redis comes back without any data: the files have everything, and writing goes on", async () => {
  await start("no");
  await createAndFill(100);
  await server!.kill();
  await server!.restart();
  await expectAll(100);
  await insert(100);
  await expectAll(101);
});

test("Redis comes back without any data and the sidecar dies then: still nothing is lost", async () => {
  const sidecar = await start("no");
  await createAndFill(100);
  await server!.kill();
  await server!.restart();
  await served("VSTORE.CARD", "c");
  await insert(100);
  await sidecar.kill();
  await join(sidecar.dataDir).waitReady();
  await expectAll(101);
});

test("Redis comes back with an older log: new writes get ids that the files have not passed", async () => {
  const sidecar = await start("no");
  await createAndFill(5);
  await redis.save();
  // As if the clock had been far ahead: ids by the right clock are behind those of the files then.
  await redis.call("XSETID", "vstore:{c}:log", "99999999999999-0");
  for (let i = 5; i < 10; i++) await insert(i);
  await server!.kill();
  await server!.restart();
  await expectAll(10);
  await insert(10);
  await expectAll(11);
  await sidecar.kill();
  await join(sidecar.dataDir).waitReady();
  await expectAll(11);
});

test("a Redis that is not there yet is waited for, and said once", async () => {
  const port = await freePort();
  const sidecar = startSidecar({ redisUrl: `redis://127.0.0.1:${port}` });
  sidecars.push(sidecar);
  await sidecar.waitLog("ECONNREFUSED");
  await sleep(1_500);
  server = await startRedis({ port });
  await sidecar.waitReady();
  expect(sidecar.stderr.split("ECONNREFUSED").length - 1).toBe(1);
});

test("a Redis without the module is waited for, with a hint", async () => {
  server = await startRedis({ module: false });
  redis = connect(server.url);
  const sidecar = join();
  await sidecar.waitLog("`vstore module`");
  await redis.call("MODULE", "LOAD", modulePath);
  await sidecar.waitReady();
});

test("a second sidecar on the same files stands by and takes over", async () => {
  const sidecar = await start();
  await createAndFill(20);
  const second = join(sidecar.dataDir);
  await second.waitLog("standing by");
  expect(second.stdout).toBe("");
  await sidecar.kill();
  await second.waitReady();
  await expectAll(20);
});

test("a sidecar with the wrong files does not serve, and says which are missing", async () => {
  const sidecar = await start();
  await createAndFill(20);
  await sidecar.stop();
  const wrong = join();
  await wrong.waitLog("the log of collection 'c' begins after");
  expect(wrong.stdout).toBe("");
  await expect(redis.call("VSTORE.CARD", "c")).rejects.toThrow("VSTOREDOWN");
  await wrong.kill();
  await join(sidecar.dataDir).waitReady();
  await expectAll(20);
});

test("a collection that was dropped stays dropped after a crash", async () => {
  const sidecar = await start();
  await createAndFill(5);
  await redis.call("VSTORE.DROP", "c");
  await sidecar.kill();
  await join(sidecar.dataDir).waitReady();
  expect(await redis.call("VSTORE.LIST")).toEqual([]);
});

test("SIGTERM leaves in order: the files are complete and the lease is free", async () => {
  const sidecar = await start();
  await createAndFill(20);
  await sidecar.stop();
  expect(await redis.exists("vstore:leader")).toBe(0);
  await expect(redis.call("VSTORE.CARD", "c")).rejects.toThrow("VSTOREDOWN");
  await redis.flushall();
  await join(sidecar.dataDir).waitReady();
  await expectAll(20);
});
