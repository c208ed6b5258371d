import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { Proofs } from "../../src/bridge/requests/proofs.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { RespClient } from "../harness/resp.ts";

let redis: RedisServer;
let sidecar: PlayedSidecar;
let client: RespClient;
let clientId: string;

beforeAll(async () => {
  redis = await startRedis({ appendonly: "always" });
  sidecar = await PlayedSidecar.attach(redis.port);
  client = await RespClient.connect(redis.port);
  clientId = (await client.send("CLIENT", "ID")).slice(1, -2);
});
afterAll(async () => {
  sidecar.close();
  client.close();
  await redis.stop();
});

/** Compares two stream ids. */
function isAfter(a: string, b: string): boolean {
  const [aMs = 0, aSeq = 0] = a.split("-").map(Number);
  const [bMs = 0, bSeq = 0] = b.split("-").map(Number);
  return aMs > bMs || (aMs === bMs && aSeq > bSeq);
}

/** The append-only file without its snapshot, as Redis would replay it. */
function aof(): string {
  return readFileSync(join(redis.directory, "appendonlydir", "appendonly.aof.1.incr.aof"), "latin1");
}

test("a write goes to the log, with the command, the client and the arguments as they were sent", async () => {
  await sidecar.createLog("writes");
  const blob = Buffer.from([0, 13, 10, 255]);
  client.write("vstore.insert", "writes", "k\0\r\n", "FP32", blob);
  const request = await sidecar.take("vstore:{writes}:log");
  expect(request.fields).toEqual([
    ...["cmd", "INSERT", "client", clientId],
    ...["0", "writes", "1", "k\0\r\n", "2", "FP32", "3", blob.toString("latin1")],
  ]);
  const [name, at] = request.moment;
  expect([name, Math.abs(Number(at) - Date.now()) < 60_000]).toEqual(["at", true]);
  expect(await sidecar.answer(request, ":1\r\n")).toBe(1);
  expect(await client.read()).toBe(":1\r\n");
  expect(await sidecar.redis.xlen("vstore:{writes}:log")).toBe(1);
});

test("a read goes to the queries and is gone once it was answered", async () => {
  await sidecar.createLog("reads");
  const write = await sidecar.redis.xadd("vstore:{reads}:log", "*", "x", "x");
  client.write("VSTORE.GET", "reads", "a");
  const request = await sidecar.take("vstore:queries");
  expect(request.moment).toEqual(["after", write]);
  const waiter = expect.stringMatching(new RegExp(`^${clientId} [0-9a-f]{16}$`));
  expect(request.fields).toEqual(["cmd", "GET", "client", waiter, "0", "reads", "1", "a"]);
  await sidecar.answer(request, "_\r\n");
  expect(await client.read()).toBe("$-1\r\n");
  expect(await sidecar.redis.xlen("vstore:queries")).toBe(0);
});

test("a read names the user of its client where that is not the default one, and a write none", async () => {
  await sidecar.createLog("named");
  const longest = "u".repeat(64);
  const names = ["alice", longest, `${longest}u`];
  for (const name of names) {
    await sidecar.redis.acl("SETUSER", name, "on", "nopass", "~*", "+@all");
    const named = await RespClient.connect(redis.port);
    await named.send("AUTH", name, "any");
    const id = (await named.send("CLIENT", "ID")).slice(1, -2);
    named.write("VSTORE.CARD", "named");
    const read = await sidecar.take("vstore:queries");
    const waiter = expect.stringMatching(new RegExp(`^${id} [0-9a-f]{16} ${name.slice(0, 64)}$`));
    expect(read.fields).toEqual(["cmd", "CARD", "client", waiter, "0", "named"]);
    await sidecar.answer(read, ":0\r\n");
    expect(await named.read()).toBe(":0\r\n");
    named.write("VSTORE.DEL", "named", "a");
    const write = await sidecar.take("vstore:{named}:log");
    expect(write.fields.slice(0, 4)).toEqual(["cmd", "DEL", "client", id]);
    await sidecar.answer(write, ":0\r\n");
    expect(await named.read()).toBe(":0\r\n");
    named.close();
    await sidecar.redis.acl("DELUSER", name);
  }
});

test.each([
  ["a write of an unknown collection", ["VSTORE.DEL", "nobody", "a"]],
  ["a read of an unknown collection", ["VSTORE.CARD", "nobody"]],
  ["a command of the catalog", ["VSTORE.CREATE", "nobody", "DIM", "3"]],
  ["a read without a collection", ["VSTORE.INFO"]],
  ["a command that takes none", ["VSTORE.LIST"]],
])("%s goes to the control stream", async (_, command) => {
  client.write(...command);
  const request = await sidecar.takeAndAnswer("vstore:control", "+done\r\n");
  expect(request.fields.slice(0, 2)).toEqual(["cmd", command[0]!.slice("VSTORE.".length)]);
  expect(await client.read()).toBe("+done\r\n");
});

test("the reads of the control stream are gone once they were answered, the writes stay", async () => {
  await sidecar.redis.del("vstore:control");
  client.write("VSTORE.CREATE", "stays", "DIM", "3");
  const write = await sidecar.takeAndAnswer("vstore:control", "+OK\r\n");
  await client.read();
  client.write("VSTORE.LIST");
  await sidecar.takeAndAnswer("vstore:control", "*0\r\n");
  await client.read();
  const left = await sidecar.redis.xrange("vstore:control", "-", "+");
  expect(left.map(([id]) => id)).toEqual([write.id]);
});

test("a command of the catalog stays on the control stream though the collection exists", async () => {
  await sidecar.createLog("dropped");
  client.write("VSTORE.DROP", "dropped");
  await sidecar.takeAndAnswer("vstore:control", "+OK\r\n");
  expect(await client.read()).toBe("+OK\r\n");
});

test.each([
  ["plain", "vstore:{plain}:log"],
  ["{tagged}", "vstore:{tagged}:log"],
  ["a{b}c", "vstore:a{b}c:log"],
  ["empty{}", "vstore:{empty{}}:log"],
  ["open{", "vstore:{open{}:log"],
])("the streams of collection %s share its cluster slot", async (collection, log) => {
  await sidecar.redis.xadd(log, "1-1", "x", "x");
  client.write("VSTORE.DEL", collection, "a");
  const request = await sidecar.take(log).then(() => sidecar.take(log));
  await sidecar.answer(request, ":0\r\n");
  expect(await client.read()).toBe(":0\r\n");
});

test("no two streams are given the same id", async () => {
  await sidecar.createLog("one");
  await sidecar.createLog("two");
  const ids: string[] = [];
  for (let i = 0; i < 50; i++) {
    const collection = i % 2 ? "one" : "two";
    const stream = i % 3 ? `vstore:{${collection}}:log` : "vstore:queries";
    client.write(i % 3 ? "VSTORE.DEL" : "VSTORE.GET", collection, "a");
    ids.push((await sidecar.takeAndAnswer(stream, ":0\r\n")).id);
    await client.read();
  }
  expect(new Set(ids).size).toBe(ids.length);
});

test("a stream that is ahead of the clock goes on with its own ids, and moves no other", async () => {
  const future = `${Date.now() + 3_600_000}-7`;
  await sidecar.createLog("present");
  await sidecar.redis.xadd("vstore:{future}:log", future, "x", "x");
  client.write("VSTORE.DEL", "future", "a");
  await sidecar.take("vstore:{future}:log");
  const ahead = await sidecar.takeAndAnswer("vstore:{future}:log", ":0\r\n");
  expect(await client.read()).toBe(":0\r\n");
  client.write("VSTORE.DEL", "present", "a");
  const next = await sidecar.takeAndAnswer("vstore:{present}:log", ":0\r\n");
  await client.read();
  expect(isAfter(ahead.id, future)).toBe(true);
  expect(isAfter(future, next.id)).toBe(true);
});

test("a stream that has used up its ids is an error at once", async () => {
  await sidecar.redis.xadd("vstore:{full}:log", "18446744073709551615-18446744073709551615", "x", "x");
  expect(await client.send("VSTORE.DEL", "full", "a")).toBe(
    "-ERR the request stream cannot take another entry\r\n",
  );
});

test("a key of another type where the stream should be is an error at once", async () => {
  await sidecar.redis.set("vstore:{wrong}:log", "x");
  expect(await client.send("VSTORE.DEL", "wrong", "a")).toMatch(/^-WRONGTYPE /);
  await sidecar.redis.set("vstore:queries", "x");
  expect(await client.send("VSTORE.CARD", "wrong")).toMatch(/^-WRONGTYPE /);
  await sidecar.redis.del("vstore:queries");
  expect(await sidecar.info("pending")).toBe("0");
});

test("writes are in the append-only file as XADD with their ids, reads never", async () => {
  await sidecar.createLog("durable");
  client.write("VSTORE.DEL", "durable", "gone");
  const write = await sidecar.takeAndAnswer("vstore:{durable}:log", ":0\r\n");
  await client.read();
  client.write("VSTORE.GET", "durable", "never-propagated");
  await sidecar.takeAndAnswer("vstore:queries", "_\r\n");
  await client.read();
  client.write("VSTORE.GET", "unknown-durable", "never-propagated");
  await sidecar.takeAndAnswer("vstore:control", "_\r\n");
  await client.read();
  const parts = ["XADD", "vstore:{durable}:log", write.id, "cmd", "DEL"];
  expect(aof()).toContain(parts.map((part) => `$${part.length}\r\n${part}\r\n`).join(""));
  expect(aof()).not.toMatch(/XADD\r\n\$14\r\nvstore:queries|never-propagated|VSTORE\./);
});

test("a payload of 64 MiB is accepted, one byte more is not", async () => {
  await sidecar.createLog("large");
  await sidecar.redis.config("SET", "vstore.timeout", "60000");
  onTestFinished(async () => void (await sidecar.redis.config("SET", "vstore.timeout", "5000")));
  const size = 64 * 1024 * 1024 - "large".length;
  expect(await client.send("VSTORE.GET", "large", Buffer.alloc(size + 1))).toMatch(/^-LIMIT .*64 MiB/);
  client.write("VSTORE.GET", "large", Buffer.alloc(size));
  const request = await sidecar.takeAndAnswer("vstore:queries", "_\r\n");
  expect(request.fields.at(-1)!.length).toBe(size);
  expect(await client.read()).toBe("$-1\r\n");
});

test("reads are served and writes refused when the memory is full", async () => {
  await sidecar.createLog("oom");
  await sidecar.redis.config("SET", "maxmemory", "1");
  expect(await client.send("VSTORE.DEL", "oom", "a")).toMatch(/^-OOM /);
  client.write("VSTORE.CARD", "oom");
  await sidecar.takeAndAnswer("vstore:queries", ":0\r\n");
  expect(await client.read()).toBe(":0\r\n");
  await sidecar.redis.config("SET", "maxmemory", "0");
});

test("a wrong number of arguments is refused by Redis itself", async () => {
  expect(await client.send("VSTORE.CARD")).toBe(
    "-ERR wrong number of arguments for 'VSTORE.CARD' command\r\n",
  );
  expect(await client.send("VSTORE.LIST", "x")).toMatch(/^-ERR wrong number of arguments/);
});

test("a thousand clients at once each get their own answer", async () => {
  await sidecar.createLog("crowd");
  const clients = await Promise.all(Array.from({ length: 1000 }, () => RespClient.connect(redis.port)));
  const replies = clients.map((one, i) => one.send("VSTORE.GET", "crowd", `key${i}`));
  await sidecar.untilPending(1000);
  const entries = await sidecar.redis.xrange("vstore:queries", "-", "+");
  const triples = entries.flatMap(([id, fields]) => ["vstore:queries", id, `+${fields.at(-1)}\r\n`]);
  expect(await sidecar.redis.call("VSTORE.REPLY", ...triples)).toBe(1000);
  expect(await Promise.all(replies)).toEqual(clients.map((_, i) => `+key${i}\r\n`));
  for (const one of clients) one.close();
});

test("a read proves that the module wrote it, also where a producer's ids are ahead of the clock", async () => {
  await sidecar.createLog("proven");
  const proofs = new Proofs(await sidecar.proofKey());
  const take = async () => {
    client.write("VSTORE.CARD", "proven");
    const { id, fields } = await sidecar.takeAndAnswer("vstore:queries", ":0\r\n");
    expect(await client.read()).toBe(":0\r\n");
    return { id, proof: Buffer.from(fields[3]!.split(" ")[1]!) };
  };
  const { id, proof } = await take();
  expect([proofs.proves(id, proof), proofs.proves(`${id}0`, proof)]).toEqual([true, false]);
  for (const ahead of ["9007199254740993-7", "9007199254740998-18446744073709551615"]) {
    await sidecar.redis.xadd("vstore:queries", ahead, "x", "x");
    await sidecar.take("vstore:queries");
    for (let i = 0; i < 2; i++) {
      const later = await take();
      expect(isAfter(later.id, ahead) && proofs.proves(later.id, later.proof), later.id).toBe(true);
    }
  }
  expect(await sidecar.redis.xlen("vstore:queries"), "of the producer").toBe(2);
});
