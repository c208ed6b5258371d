/** Replies of XREAD: decoded as they come in pieces, beside ioredis' decoder, and on a connection of a real server. */
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { connect } from "../../src/bridge/redis/connection.ts";
import { encodeCommand } from "../../src/bridge/redis/encode-command.ts";
import { joinLargeValues } from "../../src/bridge/redis/large-values.ts";
import { XreadConnection } from "../../src/bridge/requests/xread/connection.ts";
import { XreadDecoder } from "../../src/bridge/requests/xread/decoder.ts";
import { limits } from "../../src/limits.ts";
import { compareXread } from "../torture/xread.ts";

const noneProven = () => undefined;
/** `make torture` does many more. */
const REPLIES = 300;

test("in pieces of any size they give the requests that a plain reading of them gives", () => {
  let replies = 0;
  compareXread(testSeed(), REPLIES, () => replies++);
  expect(replies).toBe(REPLIES);
});

test.each([
  "*1\r\n$1\r\nx\r\n",
  "*1\r\n*2\r\n*2\r\n",
  "*1\r\n*2\r\n:1\r\n",
  "*1\r\n*2\r\n$-1\r\n",
  "*1\n\r",
  "*1\r\n*2\r\n$600000000\r\n",
])("what XREAD never answers is an error: %j", (bytes) => {
  expect(() => new XreadDecoder(noneProven).write(Buffer.from(bytes))).toThrow("something else");
});

let server: RedisServer;
let writer: Redis;
let redis: Redis;
let xread: XreadConnection;

beforeEach(async () => {
  server = await startRedis({ module: false });
  writer = new Redis(server.url, { protocol: 2 });
  redis = await connect(server.url, "xread");
  joinLargeValues(redis);
  xread = new XreadConnection(redis, noneProven);
});

afterEach(async () => {
  writer.disconnect();
  redis.disconnect();
  await server.stop();
});

const read = (...args: (string | number)[]) => xread.read([...args, "STREAMS", "log", "other", "0", "0"]);

test("the replies of a connection, those to other commands among them", async () => {
  expect(await read()).toEqual([]);
  expect(await read("BLOCK", 1)).toEqual([]);
  await writer.xadd("log", "1-1", "cmd", "GET", "client", "7", "0", "docs", "1", "key");
  await writer.xadd("other", "1-2", "cmd", "CARD", "0", "docs");
  const [log, other] = await read();
  expect(log!.requests).toMatchObject([{ stream: "log", id: "1-1", name: "GET", caller: "client 7" }]);
  expect(log!.requests[0]!.args.map(String)).toEqual(["docs", "key"]);
  expect(other).toMatchObject({ stream: "other", requests: [{ id: "1-2", name: "CARD" }] });
  expect(await redis.xrange("log", "-", "+")).toHaveLength(1);
  expect(await redis.lrange("none", 0, -1)).toEqual([]);
  expect(await read("COUNT", 1)).toHaveLength(2);
});

test("a refused read is an error, and the next one is answered", async () => {
  await writer.set("log", "no stream");
  await expect(read()).rejects.toThrow(/^WRONGTYPE/);
  await writer.del("log");
  await writer.xadd("log", "1-1", "cmd", "CARD", "0", "docs");
  expect(await read()).toMatchObject([{ stream: "log", requests: [{ id: "1-1" }] }]);
});

test("a blocked read that is woken has read nothing", async () => {
  const id = await redis.client("ID");
  const woken = read("BLOCK", 60_000);
  await expect.poll(() => writer.client("UNBLOCK", id)).toBe(1);
  expect(await woken).toEqual([]);
});

test("a connection that is lost fails the read that is under way", async () => {
  const id = await redis.client("ID");
  const lost = read("BLOCK", 60_000);
  lost.catch(() => {});
  await expect.poll(() => writer.client("KILL", "ID", id)).toBe(1);
  await expect(lost).rejects.toThrow("Connection is closed.");
});

test("an entry as large as a request may be, between small ones, in hundreds of streams", async () => {
  const argument = Buffer.alloc(limits.payloadBytesMax, generator(testSeed())().toString());
  const streams = Array.from({ length: 300 }, (_, i) => `s${i}`);
  for (const stream of streams) await writer.xadd(stream, "1-1", "cmd", "CARD", "0", stream);
  await writer.xadd("s150", "1-2", "cmd", "MINSERT", "0", argument, "1", "end");
  await writer.xadd("s150", "1-3", "cmd", "GET", "0", "docs");
  const found = await xread.read(["STREAMS", ...streams, ...streams.map(() => "0")]);
  expect(found.map(({ stream }) => stream)).toEqual(streams);
  for (const { stream, requests } of found) expect(String(requests[0]!.args[0])).toBe(stream);
  const [, large, last] = found[150]!.requests;
  expect(large!.args.map(({ length }) => length)).toEqual([limits.payloadBytesMax, 3]);
  expect(large!.args[0]!.equals(argument)).toBe(true);
  expect(last).toMatchObject({ id: "1-3", name: "GET", fault: undefined });
  expect(await redis.echo("still in step")).toBe("still in step");
});

test("commands sent ahead of a read are answered by their lines, whatever the read brings", async () => {
  const ahead = (...words: string[]) => xread.sendAhead(encodeCommand(words));
  const added = [ahead("SADD", "set", "é", "b"), ahead("GET", "set"), ahead("SADD", "set", "c")];
  expect(await read()).toEqual([]);
  expect(await Promise.all(added)).toEqual([":2\r\n", expect.stringMatching(/^-WRONGTYPE /), ":1\r\n"]);
  expect(await writer.sismember("set", "é")).toBe(1);
  await writer.xadd("log", "1-1", "cmd", "GET", "client", "7", "0", "docs", "1", "key");
  const removed = ahead("SREM", "set", "b");
  const [log] = await read();
  expect(log!.requests).toHaveLength(1);
  expect(await removed).toBe(":1\r\n");
});

test("a command sent ahead goes alone where no read follows, and while one waits the connection is not free", async () => {
  expect(await xread.sendAhead(encodeCommand(["SADD", "set", "a"]))).toBe(":1\r\n");
  expect(xread.isFree).toBe(true);
  const waiting = read("BLOCK", 10_000);
  expect(xread.isFree).toBe(false);
  await writer.xadd("log", "1-1", "cmd", "GET", "client", "7", "0", "docs", "1", "key");
  expect(await waiting).toHaveLength(1);
  expect(xread.isFree).toBe(true);
});

test("a command that is sent at once is answered without a read, and before the next one", async () => {
  expect(await xread.send(encodeCommand(["SADD", "set", "a"]))).toBe(":1\r\n");
  const asked = [xread.send(encodeCommand(["SCARD", "set"])), xread.send(encodeCommand(["GET", "set"]))];
  const reading = read();
  expect(await Promise.all(asked)).toEqual([":1\r\n", expect.stringMatching(/^-WRONGTYPE /)]);
  expect(await reading).toEqual([]);
  expect(await redis.echo("still in step")).toBe("still in step");
});

test("no read begins on a connection that has ended", async () => {
  redis.disconnect();
  await expect.poll(() => redis.status).toBe("end");
  await expect(read()).rejects.toThrow("Connection is closed.");
  expect(await xread.send(encodeCommand(["PING"]))).toBe("");
});

test("the end of the connection ends what was sent ahead", async () => {
  const answer = xread.sendAhead(encodeCommand(["SADD", "set", "a"]));
  redis.disconnect();
  expect(await answer).toBe("");
  expect(await xread.sendAhead(encodeCommand(["PING"]))).toBe("");
});
