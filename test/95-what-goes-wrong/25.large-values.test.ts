/** Large values of Redis' replies: joined as they arrive, as joining one at its end takes nearly a whole turn. */
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { joinLargeValues, LargeValueJoiner, largeValueBytes } from "../../src/bridge/redis/large-values.ts";
import { decodeEntry } from "../../src/bridge/requests/request.ts";
import { limits } from "../../src/limits.ts";

const bulk = (value: string) => `$${Buffer.byteLength(value)}\r\n${value}\r\n`;

test("pieces of any size give the same bytes, each large value in one", () => {
  const random = generator(testSeed());
  const below = (n: number) => Math.floor(random() * n);
  const looksLikeOne = `$${largeValueBytes}\r\n`;
  const large = () => bulk(`${looksLikeOne}${"x".repeat(largeValueBytes + below(9))}`);
  const small = () => bulk(looksLikeOne.repeat(below(3)));
  const other = () =>
    ["$-1\r\n", "*2\r\n", "*-1\r\n", ":12\r\n", "+$9999999\r\n", "-ERR $9999999\r\n"][below(6)]!;
  for (let round = 0; round < 20; round++) {
    const tokens = Array.from({ length: 30 }, () => (below(10) === 0 ? large : below(2) ? small : other)());
    const bytes = Buffer.from(tokens.join(""));
    const pieceMax = [1_000, 65_536, 3 * largeValueBytes][below(3)]!;
    const passed: Buffer[] = [];
    const joiner = new LargeValueJoiner((piece) => passed.push(piece));
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + below(below(2) ? 3 : pieceMax);
      joiner.write(bytes.subarray(at, end));
      at = end;
    }
    expect(Buffer.concat(passed).equals(bytes)).toBe(true);
    const whole = passed.filter(({ length }) => length > largeValueBytes);
    const values = tokens.filter(({ length }) => length > largeValueBytes);
    expect(whole.map(String)).toEqual(values.map((value) => value.slice(value.indexOf("\n") + 1)));
  }
});

let server: RedisServer;
let redis: Redis;

beforeEach(async () => {
  server = await startRedis({ module: false });
  redis = new Redis(server.url, { protocol: 2 });
  await redis.ping();
});

afterEach(async () => {
  vi.restoreAllMocks();
  redis.disconnect();
  await server.stop();
});

test("an entry as large as a request may be arrives without being joined in one turn", async () => {
  const argument = Buffer.alloc(limits.payloadBytesMax, generator(testSeed())().toString());
  await redis.xadd("log", "1-1", "cmd", "MINSERT", "0", argument, "1", "end");
  await redis.xadd("log", "1-2", "cmd", "GET");
  joinLargeValues(redis);
  let joined = 0;
  const concat = Buffer.concat;
  vi.spyOn(Buffer, "concat").mockImplementation((list, length) => {
    const whole = concat(list, length);
    joined = Math.max(joined, whole.length);
    return whole;
  });
  const [[, entries]] = (await redis.callBuffer("XREAD", "STREAMS", "log", "0")) as [
    [Buffer, [Buffer, Buffer[]][]],
  ];
  expect(joined).toBeLessThan(largeValueBytes);
  const [first, second] = entries.map(([id, fields]) => decodeEntry("log", `${id}`, fields));
  expect(first).toMatchObject({ id: "1-1", name: "MINSERT", fault: undefined });
  expect(first!.args.map(({ length }) => length)).toEqual([limits.payloadBytesMax, 3]);
  expect(first!.args[0]!.equals(argument)).toBe(true);
  expect(second).toMatchObject({ id: "1-2", name: "GET" });
  expect(await redis.echo("still in step")).toBe("still in step");
});

test("an answer of many small values is decoded in several turns", async () => {
  const count = 50;
  const fields = Array.from({ length: limits.keysMax }, (_, i) => [`${i}`, "v"]).flat();
  for (let i = 1; i <= count; i++) await redis.xadd("log", `1-${i}`, ...fields);
  joinLargeValues(redis);
  const pauses = vi.spyOn(redis.stream, "pause");
  const [[, entries]] = (await redis.callBuffer("XREAD", "STREAMS", "log", "0")) as [
    [Buffer, [Buffer, Buffer[]][]],
  ];
  expect(entries.map(([id, each]) => [`${id}`, each.length])).toEqual(
    Array.from({ length: count }, (_, i) => [`1-${i + 1}`, fields.length]),
  );
  expect(entries.at(-1)![1].map(String)).toEqual(fields);
  expect(pauses).toHaveBeenCalled();
  expect(await redis.echo("still in step")).toBe("still in step");
});

test("the name of a field is not read where it is no name of ours", () => {
  const name = Buffer.alloc(largeValueBytes, "x");
  const read = vi.spyOn(name, "toString");
  expect(decodeEntry("log", "1-1", [name, name]).fault).toMatch(/^the first field of a request/);
  expect(read).not.toHaveBeenCalled();
});
