/** VSTORE.FOLLOW and VSTORE.TELL, and the answers that wait for followers, with a played sidecar. */
import type { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { RespClient } from "../harness/resp.ts";

const log = "vstore:{docs}:log";
let redis: RedisServer;
let sidecar: PlayedSidecar;
let client: RespClient;
let follower: RespClient;

beforeEach(async () => {
  redis = await startRedis();
  sidecar = await PlayedSidecar.attach(redis.port);
  await sidecar.createLog("docs");
  client = await RespClient.connect(redis.port);
  follower = await RespClient.connect(redis.port);
});
afterEach(async () => {
  sidecar.close();
  client.close();
  follower.close();
  await redis.stop();
});

/** Whether followers are needed is told with each ATTACH. */
async function need(count: number): Promise<void> {
  const lease = (await sidecar.redis.call("VSTORE.LEAD", "2", "played", "3600000")) as string;
  await sidecar.redis.call("VSTORE.ATTACH", lease, "3600000", count);
}

const follow = (...args: string[]) => follower.send("VSTORE.FOLLOW", "one", ...args);

test("a held answer is given with the follower's acknowledgement, whichever comes first", async () => {
  await need(1);
  await follow("READY", "0", "0");
  const first = client.send("VSTORE.DEL", "docs", "a");
  const { id } = await sidecar.takeAndAnswer(log, ":1\r\n");
  expect(await sidecar.info("pending")).toBe("1");
  await follow("READY", "0", "0", log, id);
  expect(await first).toBe(":1\r\n");
  const second = client.send("VSTORE.DEL", "docs", "b");
  const request = await sidecar.take(log);
  await follow("READY", "0", "0", log, request.id);
  expect(await sidecar.info("pending")).toBe("1");
  await sidecar.answer(request, ":0\r\n");
  expect(await second).toBe(":0\r\n");
});

test("an acknowledgement covers the entries before it, and those alone", async () => {
  await need(1);
  await follow("READY", "0", "0");
  const clients = await Promise.all([1, 2, 3].map(() => RespClient.connect(redis.port)));
  const answers: Promise<string>[] = [];
  const ids: string[] = [];
  for (const each of clients) {
    answers.push(each.send("VSTORE.DEL", "docs", "a"));
    ids.push((await sidecar.takeAndAnswer(log, ":1\r\n")).id);
  }
  await follow("READY", "0", "0", log, ids[1]!, "vstore:{docz}:log", "9999999999999-0");
  expect(await Promise.all(answers.slice(0, 2))).toEqual([":1\r\n", ":1\r\n"]);
  expect(await sidecar.info("pending")).toBe("1");
  await follow("OUT", "0", "0", log, ids[2]!);
  expect(await sidecar.info("pending")).toBe("1");
  await need(0);
  expect(await answers[2]).toBe(":1\r\n");
  for (const each of clients) each.close();
});

test("a follower on a new connection has acknowledged nothing", async () => {
  await need(1);
  await follow("READY", "0", "0");
  const answer = client.send("VSTORE.DEL", "docs", "a");
  const request = await sidecar.take(log);
  await follow("READY", "0", "0", log, request.id);
  const again = await RespClient.connect(redis.port);
  await again.send("VSTORE.FOLLOW", "one", "READY", "0", "0");
  await sidecar.answer(request, ":1\r\n");
  expect(await sidecar.info("pending")).toBe("1");
  await again.send("VSTORE.FOLLOW", "one", "READY", "0", "0", log, request.id);
  expect(await answer).toBe(":1\r\n");
  again.close();
});

test("VSTORE.FOLLOW waits for what the leader tells", async () => {
  const waiting = follow("READY", "0", "10000");
  await sidecar.redis.call("VSTORE.TELL", log, "5-1");
  expect(await waiting).toBe(`*4\r\n:1\r\n:0\r\n$17\r\n${log}\r\n$3\r\n5-1\r\n`);
  expect(await follow("READY", "1", "1")).toBe("*2\r\n:1\r\n:0\r\n");
  await sidecar.redis.call("VSTORE.TELL", "vstore:{a}:log", "6-0", "vstore:{b}:log", "7-0");
  expect(await follow("READY", "1", "10000")).toContain("$14\r\nvstore:{b}:log\r\n$3\r\n7-0\r\n");
  const leaving = follow("READY", "2", "10000");
  await sidecar.redis.call("VSTORE.LEAD", "2", "played", "0");
  expect(await leaving).toBe("*2\r\n:3\r\n:1\r\n");
});

test("a follower that leaves while it waits is not in step", async () => {
  await need(1);
  const leaving = await RespClient.connect(redis.port);
  leaving.send("VSTORE.FOLLOW", "two", "READY", "0", "10000").catch(() => {});
  while ((await sidecar.info("followers_in_step")) !== "1");
  leaving.close();
  while ((await sidecar.info("followers_in_step")) !== "0");
  expect(await client.send("VSTORE.DEL", "docs", "a")).toContain("-NOREPLICAS a write needs 1");
  expect(await sidecar.info("refused_replicas")).toBe("1");
});

test("only the leader tells, and only a user that may lead follows", async () => {
  expect(await client.send("VSTORE.TELL", log, "1-1")).toMatch(/^-NOPERM /);
  await client.send("ACL", "SETUSER", "app", "on", "nopass", "~docs*", "+@all");
  await follower.send("AUTH", "app", "x");
  expect(await follow("READY", "0", "0", log, "1-1")).toMatch(/^-NOPERM /);
  await client.send("MULTI");
  await client.send("VSTORE.FOLLOW", "one", "READY", "0", "0");
  expect(await client.send("EXEC")).toContain("-ERR VSTORE.FOLLOW cannot be used inside MULTI");
});

test.each([
  [["SLEEPS", "0", "0"], "'state'"],
  [["OUT", "-1", "0"], "'serial'"],
  [["OUT", "0", "10001"], "'wait'"],
  [["OUT", "0", "0", log, "x"], "a stream and an id"],
  [["OUT", "0", "0", log], "wrong number"],
])("VSTORE.FOLLOW %j is refused", async (args, message) => {
  expect(await follow(...args)).toContain(message);
});

test("at most 16 followers are connected", async () => {
  const clients = await Promise.all(Array.from({ length: 17 }, () => RespClient.connect(redis.port)));
  for (const [i, each] of clients.slice(0, 16).entries())
    expect(await each.send("VSTORE.FOLLOW", `f${i}`, "READY", "0", "0")).toMatch(/^\*2/);
  const late = () => clients[16]!.send("VSTORE.FOLLOW", "late", "READY", "0", "0");
  expect(await late()).toContain("-LIMIT 16 followers");
  clients[3]!.close();
  while ((await sidecar.info("followers_in_step")) !== "15");
  expect(await late()).toMatch(/^\*2/);
  for (const each of clients) each.close();
});

test.each(["-1", "17", "x"])("ATTACH refuses %s followers", async (count) => {
  await expect(need(count as unknown as number)).rejects.toThrow("'followers' must be 0 to 16");
});

test("clients wait at a hand-over for as long as the next leader says that it is at work", async () => {
  const call = async (redis: Redis, ...args: string[]) =>
    redis.call(args[0]!, ...args.slice(1)) as Promise<unknown>;
  const lead = async (redis: Redis, id: string) =>
    String(await call(redis, "VSTORE.LEAD", "2", id, "3600000"));
  const old = await lead(sidecar.redis, "played");
  const next = sidecar.redis.duplicate();
  try {
    expect(await call(sidecar.redis, "VSTORE.HANDOVER", old, "5000", "XX")).toBe(0);
    expect(await call(sidecar.redis, "VSTORE.HANDOVER", old, "5000")).toBe(0);
    await follow("READY", "0", "0");
    expect(await call(sidecar.redis, "VSTORE.HANDOVER", old, "5000", "XX")).toBe(0);
    expect(await call(sidecar.redis, "VSTORE.HANDOVER", old, "5000")).toBe(1);
    await call(sidecar.redis, "VSTORE.LEAD", "2", "played", "0");
    const taken = await lead(next, "next");
    await follow("OUT", "0", "0");
    expect(await call(next, "VSTORE.HANDOVER", taken, "5000", "XX")).toBe(1);
    const answer = client.send("VSTORE.DEL", "docs", "a");
    const { id } = await sidecar.take(log);
    expect(await call(next, "VSTORE.HANDOVER", taken, "1", "XX")).toBe(1);
    while ((await call(next, "VSTORE.HANDOVER", taken, "0", "XX")) !== 0);
    expect(await follower.send("VSTORE.DEL", "docs", "b")).toContain("-VSTOREDOWN");
    await call(next, "VSTORE.REPLY", log, id, ":1\r\n");
    expect(await answer).toBe(":1\r\n");
    await expect(call(next, "VSTORE.HANDOVER", taken, "0", "NX")).rejects.toThrow("must be XX");
    await expect(call(next, "VSTORE.HANDOVER", old, "0")).rejects.toThrow("NOPERM");
  } finally {
    next.disconnect();
  }
});

test("a leader that is told to serve nobody ends a hand-over", async () => {
  await follow("READY", "0", "0");
  const lease = String(await sidecar.redis.call("VSTORE.LEAD", "2", "played", "3600000"));
  expect(await sidecar.redis.call("VSTORE.HANDOVER", lease, "5000")).toBe(1);
  await sidecar.redis.call("VSTORE.ATTACH", lease, "0");
  expect(await sidecar.redis.call("VSTORE.HANDOVER", lease, "5000", "XX")).toBe(0);
  expect(await client.send("VSTORE.DEL", "docs", "a")).toContain("-VSTOREDOWN");
});
