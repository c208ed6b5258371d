/** ioredis: the tour, and what its users write around it. It shows RESP2's types in both protocols. */
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { take, tour } from "../clients/tour.ts";
import { fp32 } from "../harness/fp32.ts";

let vstore: Vstore;

beforeAll(async () => {
  vstore = await startVstore();
});

afterAll(() => vstore?.stop());

describe.each([2, 3] as const)("RESP%i", (protocol) => {
  let redis: Redis;

  beforeAll(() => {
    redis = new Redis(vstore.url, { protocol });
  });

  afterAll(() => redis?.disconnect());

  beforeEach(async () => {
    await redis.call("VSTORE.CREATE", "docs", "DIM", 2, "METRIC", "L2", "NX");
    await redis.call("VSTORE.DEL", "docs", "a", "b", "c");
  });

  test("takes the tour", async () => {
    await take(tour("toured"), protocol === 2 ? 2 : "arrays of 3", ([name, ...args]) =>
      redis.call(String(name), ...args),
    );
  });

  test("callBuffer gives the bytes of vectors and keys", async () => {
    const key = Buffer.from("\0\r\n\xff", "latin1");
    await redis.call("VSTORE.INSERT", "docs", key, "FP32", fp32(0.25, -1));
    expect(await redis.callBuffer("VSTORE.GET", "docs", key, "RAW")).toEqual(fp32(0.25, -1));
    expect(await redis.callBuffer("VSTORE.SEARCH", "docs", "KEY", key, "COUNT", 1)).toEqual([key]);
    expect(await redis.call("VSTORE.DEL", "docs", key)).toBe(1);
  });

  test("an error is a ReplyError that knows its command", async () => {
    await expect(redis.call("VSTORE.INSERT", "docs", "a", "FP32", "short")).rejects.toMatchObject({
      name: "ReplyError",
      message: "ERR 'vector' must be 8 bytes (2 x float32), got 5",
      command: { name: "VSTORE.INSERT" },
    });
  });

  test("a transaction", async () => {
    const multi = redis.multi().set("title:a", "A").call("VSTORE.INSERT", "docs", "a", "FP32", fp32(1, 2));
    const queued = expect.stringMatching(/^QUEUED \d+-\d+$/);
    expect(await multi.exec()).toEqual([
      [null, "OK"],
      [null, queued],
    ]);
    expect(await redis.call("VSTORE.GET", "docs", "a")).toEqual(["1", "2"]);
  });

  test("a script of its own", async () => {
    const lua = "return redis.call('VSTORE.INSERT', KEYS[1], ARGV[1], 'FP32', ARGV[2])";
    expect(await redis.eval(lua, 1, "docs", "b", fp32(3, 4))).toMatch(/^QUEUED \d+-\d+$/);
    expect(await redis.call("VSTORE.SEARCH", "docs", "VALUES", 2, 3, 4)).toEqual(["b"]);
  });

  test("a pipeline with an error in the middle", async () => {
    const pipeline = redis.pipeline();
    pipeline.call("VSTORE.INSERT", "docs", "a", "FP32", fp32(1, 2));
    pipeline.call("VSTORE.INSERT", "docs", "b", "FP32", fp32(Number.NaN, 2));
    pipeline.call("VSTORE.INSERT", "docs", "c", "FP32", fp32(5, 6));
    pipeline.call("VSTORE.CARD", "docs");
    const [first, second, third, card] = (await pipeline.exec())!;
    expect([first, third, card]).toEqual([
      [null, 1],
      [null, 1],
      [null, 2],
    ]);
    expect(second![0]!.message).toBe("ERR 'vector' must be finite, component 1 is NaN");
  });

  test("commands that are not waited for are answered in order", async () => {
    const replies = Array.from({ length: 300 }, (_, i) =>
      i % 3 === 2
        ? redis.call("VSTORE.GET", "docs", "a")
        : redis.call("VSTORE.INSERT", "docs", "a", "VALUES", 2, i, i),
    );
    const seen = (await Promise.all(replies)).filter((_, i) => i % 3 === 2);
    expect(seen).toEqual(seen.map((_, i) => [String(3 * i + 1), String(3 * i + 1)]));
  });
});
