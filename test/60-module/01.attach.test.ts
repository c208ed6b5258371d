import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { RespClient } from "../harness/resp.ts";

const down = "-VSTOREDOWN no vstore sidecar is attached\r\n";

let redis: RedisServer;
let sidecar: RespClient;
let client: RespClient;

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
  for (const id of ["one", "two"]) await sidecar.send("VSTORE.ATTACH", "1", id, "0");
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
  expect(await sidecar.send("VSTORE.ATTACH", "1", "one", "100")).toBe("+OK\r\n");
  expect(await client.send("INFO", "vstore")).toContain("vstore_attached:1\r\n");
  await sleep(150);
  expect(await client.send("VSTORE.LIST")).toBe(down);
  expect(await client.send("INFO", "vstore")).toContain("vstore_attached:0\r\n");
});

test("a ttl of 0 detaches the sidecar that sends it and no other", async () => {
  await sidecar.send("VSTORE.ATTACH", "1", "one", "60000");
  await sidecar.send("VSTORE.ATTACH", "1", "two", "60000");
  expect(await sidecar.send("VSTORE.ATTACH", "1", "one", "0")).toBe("+OK\r\n");
  expect(await client.send("INFO", "vstore")).toMatch(/vstore_attached:1\r\nvstore_sidecar:two\r\n/);
  await sidecar.send("VSTORE.ATTACH", "1", "two", "0");
  expect(await client.send("INFO", "vstore")).toContain("vstore_attached:0\r\n");
});

test("another protocol version is refused and both are named", async () => {
  const reply = await sidecar.send("VSTORE.ATTACH", "2", "one", "60000");
  expect(reply).toMatch(/^-ERR .*protocol 2 .*protocol 1/);
  expect(await client.send("VSTORE.LIST")).toBe(down);
});

test.each([
  ["a protocol that is no number", ["x", "one", "1000"], "'protocol'"],
  ["an empty id", ["1", "", "1000"], "'sidecar id'"],
  ["an id of 65 bytes", ["1", "x".repeat(65), "1000"], "'sidecar id'"],
  ["an id with a line end", ["1", "a\r\nb", "1000"], "'sidecar id'"],
  ["a negative ttl", ["1", "one", "-1"], "'ttl'"],
  ["a ttl over an hour", ["1", "one", "3600001"], "'ttl'"],
  ["too few arguments", ["1", "one"], "wrong number of arguments"],
])("%s is refused", async (_, args, message) => {
  const reply = await sidecar.send("VSTORE.ATTACH", ...args);
  expect(reply).toMatch(/^-ERR/);
  expect(reply).toContain(message);
  expect(await client.send("VSTORE.LIST")).toBe(down);
});

test("an id of 64 bytes and a ttl of an hour are accepted", async () => {
  const id = "x".repeat(64);
  expect(await sidecar.send("VSTORE.ATTACH", "1", id, "3600000")).toBe("+OK\r\n");
  expect(await sidecar.send("VSTORE.ATTACH", "1", id, "0")).toBe("+OK\r\n");
});

test("a connection with another database selected is told so", async () => {
  await sidecar.send("VSTORE.ATTACH", "1", "one", "60000");
  await client.send("SELECT", "1");
  expect(await client.send("VSTORE.LIST")).toMatch(/^-ERR this connection has selected another database/);
  expect(await client.send("DBSIZE")).toBe(":0\r\n");
  await client.send("SELECT", "0");
});

test("nobody attaches to a replica", async () => {
  const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(redis.port)] });
  onTestFinished(() => replica.stop());
  const connection = await RespClient.connect(replica.port);
  expect(await connection.send("VSTORE.ATTACH", "1", "one", "60000")).toMatch(/^-READONLY/);
  expect(await connection.send("VSTORE.CARD", "docs")).toBe(down);
  expect(await connection.send("VSTORE.DEL", "docs", "a")).toMatch(/^-READONLY/);
  connection.close();
});
