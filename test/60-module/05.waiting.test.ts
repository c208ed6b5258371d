import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { RespClient } from "../harness/resp.ts";

const log = "vstore:{docs}:log";
const queries = "vstore:queries";

let redis: RedisServer;
let sidecar: PlayedSidecar;
let client: RespClient;

beforeAll(async () => {
  redis = await startRedis();
  sidecar = await PlayedSidecar.attach(redis.port);
  await sidecar.createLog("docs");
  client = await RespClient.connect(redis.port);
});
afterEach(async () => {
  await sidecar.redis.config("SET", "vstore.timeout", "5000");
  await sidecar.redis.config("SET", "vstore.wait-timeout", "600000");
  expect(await sidecar.info("pending")).toBe("0");
});
afterAll(async () => {
  sidecar.close();
  client.close();
  await redis.stop();
});

/** Sends a command that blocks `client` and returns the id of that client. */
async function block(...command: string[]): Promise<string> {
  const id = (await client.send("CLIENT", "ID")).slice(1, -2);
  client.write(...command);
  await sidecar.untilPending(1);
  return id;
}

test("a read that times out says that nothing changed, and its entry is deleted", async () => {
  await sidecar.redis.config("SET", "vstore.timeout", "100");
  const start = Date.now();
  expect(await client.send("VSTORE.CARD", "docs")).toBe(
    "-TIMEOUT no answer within 100 ms; nothing was changed\r\n",
  );
  expect(Date.now() - start).toBeGreaterThanOrEqual(95);
  expect(await sidecar.redis.xlen(queries)).toBe(0);
});

test("a write that times out says that it will be applied, and stays in the log", async () => {
  await sidecar.redis.config("SET", "vstore.timeout", "100");
  expect(await client.send("VSTORE.DEL", "docs", "a")).toBe(
    "-TIMEOUT no answer within 100 ms; the write is in the log and will be applied\r\n",
  );
  const request = await sidecar.take(log);
  expect(await sidecar.answer(request, ":1\r\n")).toBe(0);
  expect(await client.send("PING")).toBe("+PONG\r\n");
});

test("BUILD and CHECKPOINT wait for vstore.wait-timeout", async () => {
  await sidecar.redis.config("SET", "vstore.timeout", "50");
  await sidecar.redis.config("SET", "vstore.wait-timeout", "200");
  expect(await client.send("VSTORE.BUILD", "docs", "WAIT")).toMatch(/^-TIMEOUT no answer within 200 ms/);
  expect(await client.send("VSTORE.CHECKPOINT")).toMatch(/^-TIMEOUT no answer within 200 ms/);
  expect(await client.send("VSTORE.CARD", "docs")).toMatch(/^-TIMEOUT no answer within 50 ms/);
});

test("an answer in the very turn in which the deadline passes still arrives", async () => {
  await sidecar.redis.config("SET", "vstore.timeout", "300");
  await block("VSTORE.CARD", "docs");
  const request = await sidecar.take(queries);
  await sidecar.redis
    .multi()
    .call("VSTORE.REPLY", queries, request.id, ":1\r\n")
    .debug("SLEEP", "0.5")
    .exec();
  expect(await client.read()).toBe(":1\r\n");
  expect(await client.send("PING")).toBe("+PONG\r\n");
});

test("a client that leaves takes its read with it", async () => {
  const leaver = await RespClient.connect(redis.port);
  leaver.write("VSTORE.CARD", "docs");
  await sidecar.untilPending(1);
  leaver.close();
  await sidecar.untilPending(0);
  expect(await sidecar.redis.xlen(queries)).toBe(0);
});

test("a client that leaves does not take back its write", async () => {
  const leaver = await RespClient.connect(redis.port);
  leaver.write("VSTORE.DEL", "docs", "left");
  const request = await sidecar.take(log);
  leaver.close();
  await sidecar.untilPending(0);
  expect(await sidecar.answer(request, ":1\r\n")).toBe(0);
  expect(await sidecar.redis.xrange(log, request.id, request.id)).toHaveLength(1);
});

test("an answer to a client that left in the same turn harms no other client", async () => {
  const leaver = await RespClient.connect(redis.port);
  const id = (await leaver.send("CLIENT", "ID")).slice(1, -2);
  leaver.write("VSTORE.CARD", "docs");
  await sidecar.untilPending(1);
  const request = await sidecar.take(queries);
  const reply = ["VSTORE.REPLY", queries, request.id, ":1\r\n"] as const;
  const results = await sidecar.redis
    .multi()
    .call(...reply)
    .client("KILL", "ID", id)
    .exec();
  expect(results).toEqual([
    [null, 1],
    [null, 1],
  ]);
  await expect(leaver.read()).rejects.toThrow("closed");
});

test("CLIENT KILL ends the wait", async () => {
  const killed = await RespClient.connect(redis.port);
  const id = (await killed.send("CLIENT", "ID")).slice(1, -2);
  killed.write("VSTORE.CARD", "docs");
  await sidecar.untilPending(1);
  expect(await sidecar.redis.client("KILL", "ID", id)).toBe(1);
  await expect(killed.read()).rejects.toThrow("closed");
  expect(await sidecar.redis.xlen(queries)).toBe(0);
});

test("CLIENT UNBLOCK works as with any blocking command", async () => {
  const id = await block("VSTORE.CARD", "docs");
  expect(await sidecar.redis.client("UNBLOCK", id, "TIMEOUT")).toBe(1);
  expect(await client.read()).toMatch(/^-TIMEOUT .*nothing was changed/);
  await block("VSTORE.CARD", "docs");
  expect(await sidecar.redis.client("UNBLOCK", id, "ERROR")).toBe(1);
  expect(await client.read()).toBe("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
  expect(await sidecar.redis.client("UNBLOCK", id)).toBe(0);
  expect(await sidecar.redis.xlen(queries)).toBe(0);
});

test("pipelined commands of one client are served one after the other", async () => {
  client.write("VSTORE.DEL", "docs", "p1");
  client.write("VSTORE.DEL", "docs", "p2");
  for (const key of ["p1", "p2"]) {
    const request = await sidecar.takeAndAnswer(log, `+${key}\r\n`);
    expect(request.fields.at(-1)).toBe(key);
    expect(await client.read()).toBe(`+${key}\r\n`);
  }
});

test("a client is told at once when the log is flushed under it", async () => {
  await block("VSTORE.CARD", "docs");
  await sidecar.redis.flushall();
  expect(await client.read()).toMatch(/^-TRYAGAIN/);
  expect(await sidecar.redis.dbsize()).toBe(0);
  await sidecar.createLog("docs");
});

test("waiting clients are let go when Redis becomes a replica", async () => {
  await block("VSTORE.DEL", "docs", "a");
  await sidecar.redis.replicaof("127.0.0.1", "1");
  expect(await client.read()).toMatch(/^-UNBLOCKED/);
  client = await RespClient.connect(redis.port); // Redis closes theirs
  expect(await client.send("VSTORE.CARD", "docs")).toMatch(/^-VSTOREDOWN/);
  await sidecar.redis.replicaof("NO", "ONE");
});

test("the counters tell what happened", async () => {
  for (const field of [
    "timeouts",
    "disconnects",
    "replies",
    "replies_unknown",
    "requests_log",
    "requests_queries",
  ])
    expect(Number(await sidecar.info(field)), field).toBeGreaterThan(0);
  expect(await sidecar.info("refused_busy")).toBe("0");
});
