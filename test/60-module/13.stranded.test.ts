/**
 * Clients that wait for a request whose stream goes: they are told what is known, at once and not when their time is
 * over.
 */
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { RespClient } from "../harness/resp.ts";

let redis: RedisServer;
let sidecar: PlayedSidecar;
const log = "vstore:{docs}:log";
const queries = "vstore:queries";

/** A time that no test waits for. */
beforeEach(async () => {
  redis = await startRedis({ args: ["--vstore.timeout", "3600000", "--vstore.wait-timeout", "3600000"] });
  sidecar = await PlayedSidecar.attach(redis.port);
  await sidecar.redis.set("vstore:store", "paired");
  await sidecar.redis.hset("vstore:collections", "docs", "0-0");
  await sidecar.createLog("docs");
});
afterEach(async () => {
  sidecar.close();
  await redis.stop();
});

async function send(...command: string[]): Promise<RespClient> {
  const client = await RespClient.connect(redis.port);
  onTestFinished(() => client.close());
  client.write(...command);
  return client;
}

/** A write, a read and a long read of one collection, all of which wait. */
async function askAll(): Promise<RespClient[]> {
  const write = await send("VSTORE.DEL", "docs", "a");
  const read = await send("VSTORE.CARD", "docs");
  const long = await send("VSTORE.BUILD", "docs", "WAIT");
  await sidecar.untilPending(3);
  return [write, read, long];
}

const lost =
  /^-LOST the log was deleted, renamed or evicted while the write waited: it is applied if the sidecar/;
const again =
  /^-TRYAGAIN the stream of the request was deleted, renamed or evicted while it waited; nothing was/;

test("a DROP answers NOCOLLECTION to the writes that wait for the collection, and to no other request", async () => {
  const [write, ...others] = await askAll();
  others.push(await send("VSTORE.LIST"));
  await sidecar.untilPending(4);
  await sidecar.redis.hdel("vstore:collections", "docs");
  await sidecar.redis.unlink(log);
  expect(await write!.read()).toBe("-NOCOLLECTION no collection 'docs'\r\n");
  for (const stream of [queries, queries, "vstore:control"]) await sidecar.takeAndAnswer(stream, "*0\r\n");
  for (const client of others) expect(await client.read()).toBe("*0\r\n");
});

test.each<[string, string[][]]>([
  ["DEL", [["DEL", log, queries]]],
  ["UNLINK", [["UNLINK", queries, log]]],
  [
    "RENAME away",
    [
      ["RENAME", log, "x"],
      ["RENAME", queries, "y"],
    ],
  ],
  [
    "RENAME onto them",
    [
      ["MSET", "x", "1", "y", "1"],
      ["RENAME", "x", log],
      ["RENAME", "y", queries],
    ],
  ],
  [
    "SET onto them",
    [
      ["SET", log, "1"],
      ["SET", queries, "1"],
    ],
  ],
  [
    "MOVE",
    [
      ["MOVE", log, "1"],
      ["MOVE", queries, "1"],
    ],
  ],
  [
    "expiry",
    [
      ["PEXPIRE", log, "1"],
      ["PEXPIRE", queries, "1"],
    ],
  ],
  ["FLUSHALL", [["FLUSHALL"]]],
  ["FLUSHDB ASYNC", [["FLUSHDB", "ASYNC"]]],
  ["SWAPDB", [["SWAPDB", "0", "1"]]],
])("%s", async (_, commands) => {
  const [write, ...reads] = await askAll();
  for (const command of commands) await sidecar.redis.call(...(command as [string, ...string[]]));
  expect(await write!.read()).toMatch(lost);
  for (const read of reads) expect(await read.read()).toMatch(again);
  expect(await sidecar.info("stranded")).toBe("3");
  expect(await sidecar.info("pending")).toBe("0");
});

test("the sidecar's own answer, which says more, has a moment to come", async () => {
  const client = await send("VSTORE.DEL", "docs", "a");
  const request = await sidecar.take(log);
  const pipeline = sidecar.redis.pipeline();
  pipeline.del(log);
  pipeline.call("VSTORE.REPLY", request.stream, request.id, ":1\r\n");
  await pipeline.exec();
  expect(await client.read()).toBe(":1\r\n");
  expect(await sidecar.info("stranded")).toBe("0");
});

test("what happens to other keys, to entries of others and in other databases strands no request", async () => {
  const waiting = await askAll();
  const { redis: owner } = sidecar;
  await owner.mset("x", 1, "vstore:{other}:log", 1, "vstore:bull:a:log", 1);
  await owner.del("x", "vstore:{other}:log", "vstore:bull:a:log");
  await owner.multi().select(1).set(log, 1).del(log).flushdb().select(0).exec();
  const [first] = await owner.xrange(log, "-", "+");
  await owner.copy(log, "kept");
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(await sidecar.info("pending")).toBe("3");
  await owner.call("VSTORE.REPLY", log, first![0], ":1\r\n");
  expect(await waiting[0]!.read()).toBe(":1\r\n");
});

test("CREATE and DROP that wait are told too", async () => {
  const create = await send("VSTORE.CREATE", "new", "DIM", "2");
  await sidecar.untilPending(1);
  await sidecar.redis.del("vstore:control");
  expect(await create.read()).toMatch(lost);
});
