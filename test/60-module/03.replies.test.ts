import { afterAll, beforeAll, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { RespClient } from "../harness/resp.ts";

const queries = "vstore:queries";
const malformed = "-ERR the sidecar sent a malformed reply\r\n";

let redis: RedisServer;
let sidecar: PlayedSidecar;
let resp2: RespClient;
let resp3: RespClient;

beforeAll(async () => {
  redis = await startRedis();
  sidecar = await PlayedSidecar.attach(redis.port);
  await sidecar.createLog("docs");
  resp2 = await RespClient.connect(redis.port);
  resp3 = await RespClient.connect(redis.port, 3);
});
afterAll(async () => {
  for (const one of [sidecar, resp2, resp3]) one.close();
  await redis.stop();
});

/** What `client` receives when the sidecar answers `bytes`. */
async function received(client: RespClient, bytes: string | Buffer): Promise<string> {
  client.write("VSTORE.CARD", "docs");
  const request = await sidecar.take(queries);
  await sidecar.answer(request, bytes).catch(() => {});
  return client.read();
}

test.each([
  ["a simple string", "+OK\r\n", "+OK\r\n", "+OK\r\n"],
  ["an empty simple string", "+\r\n", "+\r\n", "+\r\n"],
  ["an error", "-NOKEY no such key\r\n", "-NOKEY no such key\r\n", "-NOKEY no such key\r\n"],
  ["an integer", ":-42\r\n", ":-42\r\n", ":-42\r\n"],
  ["the largest integer", ":9223372036854775807\r\n", ":9223372036854775807\r\n", ":9223372036854775807\r\n"],
  ["a bulk string with any byte", "$4\r\n\0\r\n\xff\r\n", "$4\r\n\0\r\n\xff\r\n", "$4\r\n\0\r\n\xff\r\n"],
  ["an empty bulk string", "$0\r\n\r\n", "$0\r\n\r\n", "$0\r\n\r\n"],
  ["null", "_\r\n", "$-1\r\n", "_\r\n"],
  ["true", "#t\r\n", ":1\r\n", "#t\r\n"],
  ["false", "#f\r\n", ":0\r\n", "#f\r\n"],
  ["a double", ",0.25\r\n", "$4\r\n0.25\r\n", ",0.25\r\n"],
  ["infinity", ",inf\r\n", "$3\r\ninf\r\n", ",inf\r\n"],
  ["minus infinity", ",-inf\r\n", "$4\r\n-inf\r\n", ",-inf\r\n"],
  ["a big number", "(-123456789012345678901\r\n", "$22\r\n-123456789012345678901\r\n", undefined],
  ["a verbatim string", "=7\r\ntxt:abc\r\n", "$3\r\nabc\r\n", "=7\r\ntxt:abc\r\n"],
  ["an array", "*2\r\n:1\r\n_\r\n", "*2\r\n:1\r\n$-1\r\n", "*2\r\n:1\r\n_\r\n"],
  ["an empty array", "*0\r\n", "*0\r\n", "*0\r\n"],
  ["a set", "~1\r\n#t\r\n", "*1\r\n:1\r\n", "~1\r\n#t\r\n"],
  ["a map", "%1\r\n+a\r\n,1\r\n", "*2\r\n+a\r\n$1\r\n1\r\n", "%1\r\n+a\r\n,1\r\n"],
  ["an error in an array", "*1\r\n-ERR x\r\n", "*1\r\n-ERR x\r\n", "*1\r\n-ERR x\r\n"],
  ["nested values", "%1\r\n*1\r\n~0\r\n%0\r\n", "*2\r\n*1\r\n*0\r\n*0\r\n", "%1\r\n*1\r\n~0\r\n%0\r\n"],
])("%s has its RESP2 and its RESP3 shape", async (_, bytes, inResp2, inResp3 = bytes) => {
  const sent = Buffer.from(bytes, "latin1");
  expect(await received(resp2, sent)).toBe(inResp2);
  expect(await received(resp3, sent)).toBe(inResp3);
});

/** In RESP3 the server writes the text: 9.9999999999999995e-08 or 1e-7, for one. */
test("a double with an exponent keeps its text in RESP2 and its value in RESP3", async () => {
  expect(await received(resp2, ",1e-07\r\n")).toBe("$5\r\n1e-07\r\n");
  const [, text] = /^,(\S+)\r\n$/.exec(await received(resp3, ",1e-07\r\n"))!;
  expect(Number(text)).toBe(1e-7);
});

test("32 levels of nesting are passed on, 33 are not", async () => {
  const nested = (levels: number) => `${"*1\r\n".repeat(levels - 1)}*0\r\n`;
  expect(await received(resp3, nested(32))).toBe(nested(32));
  expect(await received(resp3, nested(33))).toBe(malformed);
});

test("nesting goes back down between siblings", async () => {
  const deep = `${"*1\r\n".repeat(30)}:1\r\n`;
  expect(await received(resp3, `*3\r\n${deep}${deep}${deep}`)).toBe(`*3\r\n${deep}${deep}${deep}`);
});

const whole = "%2\r\n$1\r\na\r\n*3\r\n:1\r\n,2.5\r\n_\r\n+b\r\n=7\r\ntxt:abc\r\n";

test("a value that breaks off is malformed, wherever it breaks off", async () => {
  for (let length = 0; length < whole.length; length++)
    expect(await received(resp2, whole.slice(0, length)), `${length} bytes`).toBe(malformed);
  expect(await received(resp3, whole)).toBe(whole);
});

test.each([
  ["a second value", ":1\r\n:2\r\n"],
  ["a byte too many", ":1\r\nx"],
  ["an unknown type", "?1\r\n"],
  ["a push", ">1\r\n:1\r\n"],
  ["an attribute", "|1\r\n+a\r\n+b\r\n:1\r\n"],
  ["a streamed string", "$?\r\n;1\r\na\r\n;0\r\n"],
  ["a RESP2 null", "$-1\r\n"],
  ["a negative count", "*-1\r\n"],
  ["a huge length", "$9223372036854775807\r\nx\r\n"],
  ["a length beyond 64 bits", "$99999999999999999999\r\nx\r\n"],
  ["a length with a sign", "$+1\r\na\r\n"],
  ["a huge count", "*9223372036854775807\r\n"],
  ["a huge count of pairs", "%9223372036854775807\r\n"],
  ["more elements than bytes", "*3\r\n:1\r\n:2\r\n"],
  ["half a pair", "%1\r\n:1\r\n"],
  ["ten thousand levels", "*1\r\n".repeat(10_000)],
  ["a payload that is longer than its length", "$1\r\nab\r\n"],
  ["a line end without its first half", "+a\n"],
  ["a carriage return inside a line", "+a\rb\r\n"],
  ["a NUL inside a line", "+a\0b\r\n"],
  ["an error without a word", "-\r\n"],
  ["an integer with letters", ":1x\r\n"],
  ["an integer without digits", ":\r\n"],
  ["an integer beyond 64 bits", ":9223372036854775808\r\n"],
  ["a double with letters", ",1.5x\r\n"],
  ["a hexadecimal double", ",0x10\r\n"],
  ["an empty double", ",\r\n"],
  ["a number of a thousand digits", `:${"1".repeat(1000)}\r\n`],
  ["a boolean of another letter", "#x\r\n"],
  ["a null with a value", "_0\r\n"],
  ["a big number with letters", "(12a\r\n"],
  ["a big number without digits", "(-\r\n"],
  ["a verbatim string without a format", "=3\r\nabc\r\n"],
])("%s is malformed: the client gets an error, the sidecar too", async (_, bytes) => {
  resp2.write("VSTORE.CARD", "docs");
  const request = await sidecar.take(queries);
  await expect(sidecar.answer(request, bytes)).rejects.toThrow(/1 of 1 replies were malformed/);
  expect(await resp2.read()).toBe(malformed);
  expect(await sidecar.redis.xlen(queries)).toBe(0);
});

test("one batch serves the good ones among the bad ones", async () => {
  resp2.write("VSTORE.CARD", "docs");
  const first = await sidecar.take(queries);
  resp3.write("VSTORE.CARD", "docs");
  const second = await sidecar.take(queries);
  const batch = [queries, first.id, "junk", queries, "no-id", ":1\r\n", queries, second.id, ":7\r\n"];
  await expect(sidecar.redis.call("VSTORE.REPLY", ...batch)).rejects.toThrow(
    "ERR 2 of 3 replies were malformed, 1 clients got their answer",
  );
  expect(await resp2.read()).toBe(malformed);
  expect(await resp3.read()).toBe(":7\r\n");
});

test("an unknown request is ignored, but its entry is deleted from the queries", async () => {
  const unknown = Number(await sidecar.info("replies_unknown"));
  const id = (await sidecar.redis.xadd(queries, "*", "cmd", "CARD"))!;
  expect(await sidecar.answer({ stream: queries, id }, ":1\r\n")).toBe(0);
  expect(await sidecar.redis.xlen(queries)).toBe(0);
  expect(await sidecar.answer({ stream: "vstore:{nothing}:queries", id: "1-1" }, ":1\r\n")).toBe(0);
  expect(await sidecar.redis.exists("vstore:{nothing}:queries")).toBe(0);
  expect(Number(await sidecar.info("replies_unknown"))).toBe(unknown + 2);
});

test("of unknown requests on the control stream only the reads are deleted", async () => {
  const read = (await sidecar.redis.xadd("vstore:control", "*", "cmd", "LIST"))!;
  const write = (await sidecar.redis.xadd("vstore:control", "*", "cmd", "DROP", "0", "x"))!;
  const other = (await sidecar.redis.xadd("vstore:control", "*", "cmd", "WHATEVER"))!;
  for (const id of [read, write, other]) await sidecar.answer({ stream: "vstore:control", id }, ":1\r\n");
  const left = await sidecar.redis.xrange("vstore:control", "-", "+");
  expect(left.map(([id]) => id)).toEqual([write, other]);
});

test.each(["other", "other:queries", "vstore:reads", "vstore:{docs}:log", "vstore:{docs}:errors"])(
  "an unknown request leaves the stream %s alone",
  async (stream) => {
    const id = (await sidecar.redis.xadd(stream, "*", "cmd", "CARD"))!;
    await sidecar.answer({ stream, id }, ":1\r\n");
    expect(await sidecar.redis.xlen(stream)).toBe(1);
    await sidecar.redis.xdel(stream, id);
  },
);

test("the right id with the wrong stream does not answer", async () => {
  resp2.write("VSTORE.CARD", "docs");
  const request = await sidecar.take(queries);
  expect(await sidecar.answer({ stream: "vstore:{docs}:queries", id: request.id }, ":1\r\n")).toBe(0);
  expect(await sidecar.answer(request, ":2\r\n")).toBe(1);
  expect(await resp2.read()).toBe(":2\r\n");
});

test("a request is answered once", async () => {
  resp2.write("VSTORE.CARD", "docs");
  const request = await sidecar.take(queries);
  const twice = [queries, request.id, ":1\r\n", queries, request.id, ":2\r\n"];
  expect(await sidecar.redis.call("VSTORE.REPLY", ...twice)).toBe(1);
  expect(await resp2.read()).toBe(":1\r\n");
  expect(await resp2.send("PING")).toBe("+PONG\r\n");
});

test.each([[[]], [[queries]], [[queries, "1-1"]], [[queries, "1-1", ":1\r\n", queries]]])(
  "VSTORE.REPLY wants triples: %j",
  async (args) => {
    await expect(sidecar.redis.call("VSTORE.REPLY", ...args)).rejects.toThrow("wrong number of arguments");
  },
);
