import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { RespClient } from "../harness/resp.ts";

const down = "-VSTOREDOWN no vstore sidecar is attached\r\n";

let redis: RedisServer;
let sidecar: RespClient;
let client: RespClient;
let lease: string;

/** The text of a bulk string. */
const textOf = (reply: string) => reply.split("\r\n")[1]!;

beforeAll(async () => {
  redis = await startRedis();
  sidecar = await RespClient.connect(redis.port);
  client = await RespClient.connect(redis.port);
});
afterAll(async () => {
  sidecar.close();
  client.close();
  await redis.stop();
});
beforeEach(async () => {
  lease = textOf(await sidecar.send("VSTORE.LEAD", "2", "one", "3600000"));
  await sidecar.send("VSTORE.ATTACH", lease, "0");
  await sidecar.send("DEL", "vstore:leader", "vstore:epoch");
});

test("without a sidecar every command answers VSTOREDOWN at once and nothing is appended", async () => {
  expect(await client.send("VSTORE.INSERT", "docs", "a", "FP32", "xxxx")).toBe(down);
  expect(await client.send("VSTORE.SEARCH", "docs", "KEY", "a")).toBe(down);
  expect(await client.send("VSTORE.LIST")).toBe(down);
  expect(await client.send("KEYS", "vstore:*")).toBe("*0\r\n");
});

test("inside MULTI and scripts it answers VSTOREDOWN too", async () => {
  await client.send("MULTI");
  await client.send("VSTORE.DEL", "docs", "a");
  expect(await client.send("EXEC")).toBe(`*1\r\n${down}`);
  const script = "return redis.pcall('VSTORE.DEL', KEYS[1], 'a')";
  expect(await client.send("EVAL", script, "1", "docs")).toContain("VSTOREDOWN");
  expect(await client.send("KEYS", "vstore:*")).toBe("*0\r\n");
});

test("an attachment ends when its time has passed", async () => {
  expect(await sidecar.send("VSTORE.ATTACH", lease, "100")).toBe("+OK\r\n");
  expect(await client.send("INFO", "vstore")).toContain("vstore_attached:1\r\n");
  await sleep(150);
  expect(await client.send("VSTORE.LIST")).toBe(down);
  expect(await client.send("INFO", "vstore")).toContain("vstore_attached:0\r\n");
});

test("a ttl of 0 detaches", async () => {
  await sidecar.send("VSTORE.ATTACH", lease, "60000");
  expect(await client.send("INFO", "vstore")).toMatch(/vstore_attached:1\r\nvstore_sidecar:one\r\n/);
  expect(await sidecar.send("VSTORE.ATTACH", lease, "0")).toBe("+OK\r\n");
  expect(await client.send("INFO", "vstore")).toContain("vstore_attached:0\r\n");
});

test("the lease attaches from any connection, and one that has been succeeded from none", async () => {
  expect(await client.send("VSTORE.ATTACH", lease, "60000")).toBe("+OK\r\n");
  const next = textOf(await sidecar.send("VSTORE.LEAD", "2", "one", "60000"));
  for (const ttl of ["0", "60000"])
    expect(await client.send("VSTORE.ATTACH", lease, ttl)).toMatch(/^-NOPERM /);
  expect(await client.send("INFO", "vstore")).toContain("vstore_attached:1\r\n");
  expect(await client.send("VSTORE.ATTACH", next, "0")).toBe("+OK\r\n");
});

test.each([
  ["a negative ttl", ["-1"], "'ttl'"],
  ["a ttl over an hour", ["3600001"], "'ttl'"],
  ["too few arguments", [], "wrong number of arguments"],
])("%s is refused", async (_, args, message) => {
  const reply = await sidecar.send("VSTORE.ATTACH", lease, ...args);
  expect(reply).toMatch(/^-ERR/);
  expect(reply).toContain(message);
  expect(await client.send("VSTORE.LIST")).toBe(down);
});

test("a connection with another database selected is told so", async () => {
  await sidecar.send("VSTORE.ATTACH", lease, "60000");
  await client.send("SELECT", "1");
  expect(await client.send("VSTORE.LIST")).toMatch(/^-ERR this connection has selected another database/);
  expect(await client.send("DBSIZE")).toBe(":0\r\n");
  await client.send("SELECT", "0");
});

test("no sidecar attaches to a replica", async () => {
  const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(redis.port)] });
  onTestFinished(() => replica.stop());
  const connection = await RespClient.connect(replica.port);
  expect(await connection.send("VSTORE.ATTACH", lease, "60000")).toMatch(/^-READONLY/);
  expect(await connection.send("VSTORE.CARD", "docs")).toBe(down);
  expect(await connection.send("VSTORE.DEL", "docs", "a")).toMatch(/^-READONLY/);
  connection.close();
});
