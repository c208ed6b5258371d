import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { RespClient } from "../harness/resp.ts";

const log = "vstore:{docs}:log";

let redis: RedisServer;
let sidecar: PlayedSidecar;
let client: RespClient;

beforeAll(async () => {
  redis = await startRedis({ appendonly: "always" });
  sidecar = await PlayedSidecar.attach(redis.port);
  await sidecar.createLog("docs");
  client = await RespClient.connect(redis.port);
});
afterAll(async () => {
  sidecar.close();
  client.close();
  await redis.stop();
});

test("a write in MULTI is part of the transaction and answers its id", async () => {
  await client.send("MULTI");
  await client.send("HSET", "doc:1", "title", "one");
  expect(await client.send("VSTORE.DEL", "docs", "doc:1")).toBe("+QUEUED\r\n");
  const reply = await client.send("EXEC");
  const request = await sidecar.take(log);
  expect(reply).toBe(`*2\r\n:1\r\n+QUEUED ${request.id}\r\n`);
  expect(request.fields).toEqual(["cmd", "DEL", "0", "docs", "1", "doc:1"]);
  expect(await sidecar.info("pending")).toBe("0");
});

test("the transaction is one in the append-only file too", () => {
  const file = readFileSync(join(redis.directory, "appendonlydir", "appendonly.aof.1.incr.aof"), "latin1");
  expect(file).toMatch(/MULTI\r\n.*HSET\r\n.*XADD\r\n.*{docs}:log\r\n.*EXEC\r\n/s);
});

test("an answer to a write that no client waits for is ignored and the entry stays", async () => {
  await client.send("MULTI");
  await client.send("VSTORE.DEL", "docs", "doc:2");
  await client.send("EXEC");
  const request = await sidecar.take(log);
  const before = await sidecar.redis.xlen(log);
  expect(await sidecar.answer(request, ":1\r\n")).toBe(0);
  expect(await sidecar.redis.xlen(log)).toBe(before);
});

test("a read in MULTI answers a clear error and appends nothing", async () => {
  await client.send("MULTI");
  await client.send("VSTORE.SEARCH", "docs", "KEY", "a");
  expect(await client.send("EXEC")).toBe(
    "*1\r\n-ERR VSTORE.SEARCH cannot be used inside MULTI or a script: it has to wait for the sidecar\r\n",
  );
  expect(await sidecar.redis.exists("vstore:queries")).toBe(0);
});

test("DISCARD appends nothing", async () => {
  const before = await sidecar.redis.xlen(log);
  await client.send("MULTI");
  await client.send("VSTORE.DEL", "docs", "a");
  await client.send("DISCARD");
  expect(await sidecar.redis.xlen(log)).toBe(before);
});

test("a script writes without waiting and cannot read", async () => {
  const write = "return redis.call('VSTORE.DEL', KEYS[1], 'from-lua')";
  const reply = await client.send("EVAL", write, "1", "docs");
  const request = await sidecar.take(log);
  expect(reply).toBe(`+QUEUED ${request.id}\r\n`);
  expect(request.fields).toEqual(["cmd", "DEL", "0", "docs", "1", "from-lua"]);
  const read = "return redis.pcall('VSTORE.GET', KEYS[1], 'a')";
  expect(await client.send("EVAL", read, "1", "docs")).toContain("VSTORE.GET cannot be used inside MULTI");
});

test("a read-only script is refused the write", async () => {
  const script = "return redis.pcall('VSTORE.DEL', KEYS[1], 'a')";
  expect(await client.send("EVAL_RO", script, "1", "docs")).toContain("Write commands are not allowed");
});

test("a function writes without waiting", async () => {
  const library =
    "#!lua name=mylib\nredis.register_function('forget', function(keys, args) " +
    "redis.call('HDEL', args[1], 'title') return redis.call('VSTORE.DEL', keys[1], args[1]) end)";
  await client.send("FUNCTION", "LOAD", library);
  const reply = await client.send("FCALL", "forget", "1", "docs", "doc:1");
  expect(reply).toBe(`+QUEUED ${(await sidecar.take(log)).id}\r\n`);
});

test("without a sidecar a write of a collection that has a log is part of the transaction all the same", async () => {
  await sidecar.detach();
  await client.send("MULTI");
  await client.send("HSET", "doc:1", "title", "one");
  await client.send("VSTORE.DEL", "docs", "doc:1");
  await client.send("VSTORE.CARD", "docs");
  await client.send("VSTORE.DEL", "nothing", "doc:1");
  const reply = await client.send("EXEC");
  const { id } = await sidecar.take(log);
  const down = "-VSTOREDOWN no vstore sidecar is attached\r\n";
  expect(reply).toBe(`*4\r\n:1\r\n+QUEUED ${id}\r\n${down}${down}`);
  expect(await client.send("VSTORE.DEL", "docs", "doc:1")).toBe(down);
  await sidecar.attach();
});

test("a script cannot play the sidecar", async () => {
  for (const call of ["'VSTORE.LEAD', '2', 'x', '1000'", "'VSTORE.REPLY', 'a', '1-1', ':1'"])
    expect(await client.send("EVAL", `return redis.pcall(${call})`, "0")).toContain(
      "not allowed from script",
    );
});
