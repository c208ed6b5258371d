/** Who leads: the lease that the module gives, what only its holder may do, and how it passes on. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { RespClient } from "../harness/resp.ts";
import { until } from "../harness/serving.ts";

let redis: RedisServer;
let one: RespClient;
let two: RespClient;

const connect = async (port = redis.port) => {
  const client = await RespClient.connect(port);
  onTestFinished(() => client.close());
  return client;
};
const lead = (client: RespClient, id: string, ttl = 60_000) =>
  client.send("VSTORE.LEAD", "2", id, String(ttl));
/** The text of a bulk string. */
const textOf = (reply: string) => reply.split("\r\n")[1]!;
const nil = "$-1\r\n";

beforeEach(async () => {
  redis = await startRedis({ appendonly: "always" });
  one = await connect();
  two = await connect();
});
afterEach(() => redis.stop());

test("one sidecar holds the lease, and another one gets it when it has run out", async () => {
  const lease = textOf(await lead(one, "one", 300));
  expect(lease).toMatch(/^one:1:[0-9a-f]{32}$/);
  expect(await lead(two, "two")).toBe(nil);
  expect(await two.send("GET", "vstore:leader")).toBe("$5\r\none:1\r\n");
  await sleep(350);
  expect(await one.send("VSTORE.RENEW", lease, "300")).toMatch(/^-NOPERM /);
  expect(textOf(await lead(two, "two"))).toMatch(/^two:2:/);
  expect(await lead(await connect(), "one")).toBe(nil);
});

test("the next session of the same sidecar takes over at once, and the connection of the one before is closed", async () => {
  const lease = textOf(await lead(one, "one"));
  expect(textOf(await lead(two, "one"))).toMatch(/^one:2:/);
  await expect(one.send("PING")).rejects.toThrow("closed");
  expect(await two.send("VSTORE.RENEW", lease, "1000")).toMatch(/^-NOPERM /);
});

test("three more connections may answer, a fourth takes the place of the first, and all end with the lease", async () => {
  const lease = textOf(await lead(one, "one"));
  const joined = await Promise.all(Array.from({ length: 4 }, () => connect()));
  const [first, ...others] = joined as [RespClient, ...RespClient[]];
  const mayAnswer = (client: RespClient) => client.send("VSTORE.REPLY", "vstore:queries", "1-1", "+OK\r\n");
  expect(await mayAnswer(first)).toMatch(/^-NOPERM /);
  for (const each of joined) expect(await each.send("VSTORE.JOIN", lease)).toMatch(/^\$16\r\n[0-9a-f]{16}/);
  await expect(first.send("PING")).rejects.toThrow("closed");
  for (const each of others) expect(await mayAnswer(each)).toBe(":0\r\n");
  expect(await others[0]!.send("VSTORE.JOIN", lease)).toMatch(/^\$16/);
  for (const each of [one, ...others]) expect(await mayAnswer(each)).toBe(":0\r\n");
  await lead(two, "one");
  for (const each of [one, ...others]) await expect(each.send("PING")).rejects.toThrow("closed");
});

test("a lease that is given up is free, and leaves no record", async () => {
  await lead(one, "one");
  expect(await lead(two, "two", 0)).toMatch(/^-NOPERM /);
  expect(await lead(one, "one", 0)).toBe("+OK\r\n");
  expect(await two.send("EXISTS", "vstore:leader")).toBe(":0\r\n");
  expect(await lead(two, "two")).toContain("two:2:");
});

test("a beat writes nothing, and goes on while writes are paused", async () => {
  const lease = textOf(await lead(one, "one", 2_000));
  const changes = async () =>
    /rdb_changes_since_last_save:(\d+)/.exec(await two.send("INFO", "persistence"))![1];
  const before = await changes();
  await two.send("CLIENT", "PAUSE", "3000", "WRITE");
  for (let i = 0; i < 6; i++) {
    await sleep(400);
    expect(await one.send("VSTORE.RENEW", lease, "2000")).toBe("+OK\r\n");
    expect(await one.send("VSTORE.ATTACH", lease, "2000")).toBe("+OK\r\n");
  }
  await two.send("CLIENT", "UNPAUSE");
  expect(await changes()).toBe(before);
});

test("no key of the lease expires, and neither FLUSHALL nor eviction of the record ends it", async () => {
  const lease = textOf(await lead(one, "one"));
  for (const key of ["vstore:leader", "vstore:epoch"]) expect(await two.send("PTTL", key)).toBe(":-1\r\n");
  await two.send("FLUSHALL");
  expect(await lead(two, "two")).toBe(nil);
  expect(await one.send("VSTORE.RENEW", lease, "60000")).toBe("+OK\r\n");
});

test("what only the leading connection may do is refused to every other one", async () => {
  for (const client of [one, two]) {
    expect(await client.send("VSTORE.REPLY", "vstore:control", "1-1", "+OK\r\n")).toMatch(/^-NOPERM /);
    expect(await client.send("VSTORE.RESYNC", "c", "ALL", "k")).toMatch(/^-NOPERM /);
    for (const lease of ["", "one:1", "one"])
      for (const name of ["RENEW", "ATTACH"])
        expect(await client.send(`VSTORE.${name}`, lease, "0")).toMatch(/^-NOPERM /);
  }
  const lease = textOf(await lead(one, "one"));
  await one.send("VSTORE.ATTACH", lease, "60000");
  two.write("VSTORE.LIST");
  const three = await connect();
  const [, id] = /(\d+-\d+)/.exec(
    await until(
      () => three.send("XRANGE", "vstore:control", "-", "+"),
      (entries) => entries.includes("LIST"),
    ),
  )!;
  expect(await three.send("VSTORE.REPLY", "vstore:control", id!, "+forged\r\n")).toMatch(/^-NOPERM /);
  expect(await three.send("VSTORE.ATTACH", "one:1", "0")).toMatch(/^-NOPERM /);
  expect(await one.send("VSTORE.REPLY", "vstore:control", id!, "+true\r\n")).toBe(":1\r\n");
  expect(await two.read()).toBe("+true\r\n");
});

test.each([
  ["the keys of an application", "~app:*"],
  ["the lease's record to read", "%R~vstore:*"],
  ["no keys", "resetkeys"],
])("a user with every command and %s cannot take the lead", async (_, keys) => {
  await one.send("ACL", "SETUSER", "app", "reset", "on", ">pw", "+@all", ...keys.split(" "));
  await two.send("AUTH", "app", "pw");
  expect(await lead(two, "two")).toMatch(/^-NOPERM only the user of vstore\.user, or without/);
  expect(await lead(one, "one")).toContain("one:1:");
});

test("vstore.user names who alone may lead", async () => {
  for (const user of ["sidecar", "app"])
    await one.send("ACL", "SETUSER", user, "reset", "on", ">pw", "+@all", "~*");
  expect(await one.send("CONFIG", "SET", "vstore.user", "sidecar")).toBe("+OK\r\n");
  expect(await one.send("CONFIG", "GET", "vstore.user")).toContain("sidecar");
  await two.send("AUTH", "app", "pw");
  for (const client of [one, two]) expect(await lead(client, "x")).toMatch(/^-NOPERM /);
  await two.send("AUTH", "sidecar", "pw");
  expect(await lead(two, "two")).toContain("two:1:");
});

test("after a restart the sidecar of the record comes first, for one lease from the first that asks", async () => {
  await lead(one, "one");
  await redis.restart();
  await sleep(600); // time without a sidecar that asks does not count
  [one, two] = [await connect(), await connect()];
  const asked = performance.now();
  expect(await lead(two, "two", 500)).toBe(nil);
  expect(await lead(one, "one", 300)).toContain("one:2:");
  await redis.restart();
  two = await connect();
  await until(
    () => lead(two, "two", 500),
    (reply) => reply.includes("two:3:"),
  );
  expect(performance.now() - asked).toBeGreaterThan(500);
});

test("deleting the record gives up the lease of a sidecar that is gone, and of no other", async () => {
  await lead(one, "one");
  await two.send("DEL", "vstore:leader");
  expect(await lead(two, "two")).toBe(nil);
  one.close();
  await until(
    () => lead(two, "two"),
    (reply) => reply.includes("two:2:"),
  );
  two.close();
  expect(await lead(await connect(), "three")).toBe(nil);
});

test("on a promoted replica the sidecar of the record is waited for no longer than one lease", async () => {
  await lead(one, "one", 3_600_000);
  const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(redis.port)] });
  onTestFinished(() => replica.stop());
  const other = await connect(replica.port);
  await until(
    () => other.send("GET", "vstore:leader"),
    (reply) => reply.includes("one:1"),
  );
  expect(await lead(other, "two")).toMatch(/^-READONLY/);
  await other.send("REPLICAOF", "NO", "ONE");
  const asked = performance.now();
  expect(await lead(other, "two", 500)).toBe(nil);
  await until(
    () => lead(other, "two", 500),
    (reply) => reply.includes("two:2:"),
  );
  expect(performance.now() - asked).toBeGreaterThan(450);
});

test("on a promoted replica the sidecar of the record is not waited for as long as a lease lasts, and may come first", async () => {
  const hour = 3_600_000;
  await lead(one, "one", hour);
  const replicas = await Promise.all(
    [1, 2].map(() => startRedis({ args: ["--replicaof", "127.0.0.1", String(redis.port)] })),
  );
  for (const replica of replicas) onTestFinished(() => replica.stop());
  const [first, second] = await Promise.all(replicas.map(({ port }) => connect(port)));
  for (const other of [first!, second!]) {
    await until(
      () => other.send("GET", "vstore:leader"),
      (reply) => reply.includes("one:1"),
    );
    await other.send("REPLICAOF", "NO", "ONE");
    expect(await lead(other, "two", hour)).toBe(nil);
  }
  expect(await lead(first!, "one", hour)).toContain("one:2:");
  expect(await lead(first!, "two", hour)).toBe(nil);
  await until(
    () => lead(second!, "two", hour),
    (reply) => reply.includes("two:2:"),
  );
});

test("a leader that becomes a replica leads no more", async () => {
  const lease = textOf(await lead(one, "one"));
  await two.send("REPLICAOF", "127.0.0.1", "1");
  expect(await one.send("VSTORE.RENEW", lease, "1000")).toMatch(/^-READONLY/);
  expect(await one.send("VSTORE.REPLY", "vstore:control", "1-1", "+OK\r\n")).toMatch(/^-NOPERM/);
  await two.send("REPLICAOF", "NO", "ONE");
  expect(await one.send("VSTORE.RENEW", lease, "1000")).toMatch(/^-NOPERM/);
});

test.each([
  ["another protocol", ["1", "one", "1000"], /^-ERR .*protocol 1 .*protocol 2/],
  ["a protocol that is no number", ["x", "one", "1000"], /^-ERR 'protocol'/],
  ["an empty id", ["2", "", "1000"], /^-ERR 'sidecar id'/],
  ["an id of 65 bytes", ["2", "x".repeat(65), "1000"], /^-ERR 'sidecar id'/],
  ["an id with a line end", ["2", "a\r\nb", "1000"], /^-ERR 'sidecar id'/],
  ["a negative ttl", ["2", "one", "-1"], /^-ERR 'ttl'/],
  ["a ttl over an hour", ["2", "one", "3600001"], /^-ERR 'ttl'/],
  ["too few arguments", ["2", "one"], /^-ERR wrong number of arguments/],
  ["what an older sidecar sends", ["one:1"], /^-ERR .*protocol 1 .*protocol 2/],
])("%s is refused", async (_, args, message) => {
  expect(await one.send("VSTORE.LEAD", ...args)).toMatch(message);
  expect(await one.send("KEYS", "*")).toBe("*0\r\n");
});

test("an id of 64 bytes and a ttl of an hour are accepted", async () => {
  expect(await lead(one, "x".repeat(64), 3_600_000)).toContain(`${"x".repeat(64)}:1:`);
});
