import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { modulePath, type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { isRedis8 } from "../../harness/server-program.ts";
import { PlayedSidecar, type Request } from "../harness/played-sidecar.ts";
import { RespClient } from "../harness/resp.ts";

const log = "vstore:{docs}:log";
const queries = "vstore:queries";

let redis: RedisServer;
let sidecar: PlayedSidecar;
let client: RespClient;

async function connect(): Promise<void> {
  sidecar = await PlayedSidecar.attach(redis.port);
  client = await RespClient.connect(redis.port);
}

beforeEach(async () => {
  redis = await startRedis({ appendonly: "always" });
  await connect();
  await sidecar.createLog("docs");
});
afterEach(async () => {
  sidecar.close();
  client.close();
  await redis.stop();
});

/** One acknowledged write; returns its id. */
async function write(): Promise<string> {
  client.write("VSTORE.DEL", "docs", "a");
  const request = await sidecar.takeAndAnswer(log, ":1\r\n");
  expect(await client.read()).toBe(":1\r\n");
  return request.id;
}

/** The ids that a stream holds. */
async function ids(stream: string): Promise<string[]> {
  return (await sidecar.redis.xrange(stream, "-", "+")).map(([id]) => id);
}

test("the module can be unloaded and loaded again, where Redis survives it", async () => {
  await write();
  if (isRedis8()) {
    expect(await client.send("MODULE", "UNLOAD", "vstore")).toMatch(
      /^-ERR Error unloading module: operation not/,
    );
    expect(redis.log()).toContain("not unloaded: connections that have used it would crash Redis 8");
    return;
  }
  for (let i = 0; i < 3; i++) {
    expect(await client.send("MODULE", "UNLOAD", "vstore")).toBe("+OK\r\n");
    expect(await client.send("VSTORE.LIST")).toMatch(/^-ERR unknown command/);
    expect(await client.send("MODULE", "LOAD", modulePath)).toBe("+OK\r\n");
    await sidecar.attach();
    await write();
  }
});

test("the module is not unloaded while a client waits, and that client is answered", async () => {
  client.write("VSTORE.CARD", "docs");
  const request = await sidecar.take(queries);
  await expect(sidecar.redis.module("UNLOAD", "vstore")).rejects.toThrow("blocked clients");
  await sidecar.answer(request, ":3\r\n");
  expect(await client.read()).toBe(":3\r\n");
  if (!isRedis8()) expect(await sidecar.redis.module("UNLOAD", "vstore")).toBe("OK");
});

test("the module cannot be loaded twice", async () => {
  expect(await client.send("MODULE", "LOAD", modulePath)).toMatch(/^-ERR Error loading the extension/);
  await write();
});

test("writes survive a clean restart under their ids, and new ids follow them", async () => {
  const before = [await write(), await write()];
  sidecar.close();
  client.close();
  await redis.restart();
  await connect();
  expect(await ids(log)).toEqual(before);
  const after = await client.send("INFO", "vstore");
  expect(after).toContain("vstore_requests_log:0\r\n");
  for (const id of before) expect((await sidecar.take(log)).id).toBe(id);
  before.push(await write());
  expect(await ids(log)).toEqual(before);
});

test("writes survive a crash, reads in flight do not come back", async () => {
  const before = await write();
  client.write("VSTORE.CARD", "docs");
  await sidecar.take(queries);
  client.close();
  await redis.kill();
  sidecar.close();
  await redis.restart();
  await connect();
  expect(await ids(log)).toEqual([before]);
  expect(await sidecar.redis.exists(queries)).toBe(0);
});

test("DEBUG RELOAD under a waiting client harms no client", async () => {
  client.write("VSTORE.CARD", "docs");
  const request = await sidecar.take(queries);
  expect(await sidecar.redis.debug("RELOAD")).toBe("OK");
  await sidecar.answer(request, ":3\r\n");
  expect(await client.read()).toBe(":3\r\n");
  expect(await ids(queries)).toEqual([]);
  await write();
});

test("a rewrite of the append-only file keeps the writes", async () => {
  const before = await write();
  await sidecar.redis.bgrewriteaof();
  while (/aof_rewrite_in_progress:1/.test(await sidecar.redis.info("persistence")));
  sidecar.close();
  client.close();
  await redis.restart();
  await connect();
  expect(await ids(log)).toEqual([before]);
});

test("a replica has the writes under their ids and never hears of the reads", async () => {
  const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(redis.port)] });
  onTestFinished(() => replica.stop());
  await sidecar.redis.wait(1, 10_000);
  const before = await write();
  client.write("VSTORE.CARD", "docs");
  await sidecar.takeAndAnswer(queries, ":1\r\n");
  await client.read();
  await sidecar.redis.set("last", "1");
  await sidecar.redis.wait(1, 10_000);
  const reader = await RespClient.connect(replica.port);
  expect(await reader.send("XRANGE", log, "-", "+")).toContain(before);
  expect(await reader.send("EXISTS", queries)).toBe(":0\r\n");
  reader.close();
});

test("however requests end, the module holds no memory of them", async () => {
  const id = (await client.send("CLIENT", "ID")).slice(1, -2);
  const used = async () => Number(/used_memory:(\d+)/.exec(await sidecar.redis.info("memory"))![1]);
  const endings = [
    (request: Request) => sidecar.answer(request, "+ok\r\n"),
    (request: Request) => sidecar.answer(request, "malformed").catch(() => {}),
    () => sidecar.redis.client("UNBLOCK", id, "TIMEOUT"),
    () => sidecar.redis.client("UNBLOCK", id, "ERROR"),
  ];
  const endEachWay = async (times: number) => {
    for (let i = 0; i < times * endings.length; i++) {
      client.write("VSTORE.GET", "docs", "k".repeat(1000));
      await endings[i % endings.length]!(await sidecar.take(queries));
      await client.read();
    }
  };
  await endEachWay(200);
  const before = await used();
  await endEachWay(500);
  expect((await used()) - before).toBeLessThan(100_000);
});

test("Redis stops while a client waits", async () => {
  client.write("VSTORE.CARD", "docs");
  await sidecar.take(queries);
  await redis.stop();
  await expect(client.read()).rejects.toThrow("closed");
});
