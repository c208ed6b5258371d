/** node-redis: the tour, and what its users write around it. It shows the types of the protocol it speaks. */
import { createClient, RESP_TYPES } from "redis";
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
  const connect = () => createClient({ url: vstore.url, RESP: protocol }).connect();
  let redis: Awaited<ReturnType<typeof connect>>;

  beforeAll(async () => {
    redis = await connect();
  });

  afterAll(() => redis?.destroy());

  beforeEach(async () => {
    await redis.sendCommand(["VSTORE.CREATE", "docs", "DIM", "2", "METRIC", "L2", "NX"]);
    await redis.sendCommand(["VSTORE.DEL", "docs", "a", "b"]);
  });

  test("takes the tour", async () => {
    await take(tour("toured"), protocol, (words) => redis.sendCommand(words));
  });

  test("a type mapping gives the bytes of vectors and keys", async () => {
    const binary = redis.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const key = Buffer.from("\0\r\n\xff", "latin1");
    await redis.sendCommand(["VSTORE.INSERT", "docs", key, "FP32", fp32(0.25, -1)]);
    expect(await binary.sendCommand(["VSTORE.GET", "docs", key, "RAW"])).toEqual(fp32(0.25, -1));
    expect(await binary.sendCommand(["VSTORE.SEARCH", "docs", "KEY", key, "COUNT", "1"])).toEqual([key]);
    expect(await redis.sendCommand(["VSTORE.DEL", "docs", key])).toBe(1);
  });

  test("results keep their order, also where keys look like numbers", async () => {
    for (const [at, key] of ["300", "7", "42"].entries())
      await redis.sendCommand(["VSTORE.INSERT", "docs", key, "FP32", fp32(50 + at, 0)]);
    const query = ["VSTORE.SEARCH", "docs", "FP32", fp32(50, 0), "COUNT", "3", "WITHDISTANCES"];
    const found = await redis.sendCommand(query);
    const pairs = [
      ["300", 0],
      ["7", 1],
      ["42", 2],
    ];
    expect(found).toEqual(protocol === 3 ? pairs : pairs.flat().map(String));
    await redis.sendCommand(["VSTORE.DEL", "docs", "300", "7", "42"]);
  });

  test("an error is an exception with its message", async () => {
    const reply = redis.sendCommand(["VSTORE.INSERT", "docs", "a", "FP32", "short"]);
    await expect(reply).rejects.toMatchObject({
      name: "Error",
      message: "ERR 'vector' must be 8 bytes (2 x float32), got 5",
    });
  });

  test("a transaction", async () => {
    const insert = ["VSTORE.INSERT", "docs", "a", "FP32", fp32(1, 2)];
    const replies = await redis.multi().set("title:a", "A").addCommand(insert).exec();
    expect(replies).toEqual(["OK", expect.stringMatching(/^QUEUED \d+-\d+$/)]);
    expect(await redis.sendCommand(["VSTORE.GET", "docs", "a", "RAW"])).not.toBeNull();
  });

  test("a script of its own", async () => {
    const lua = "return redis.call('VSTORE.INSERT', KEYS[1], ARGV[1], 'FP32', ARGV[2])";
    const reply = await redis.eval(lua, { keys: ["docs"], arguments: ["b", fp32(3, 4)] as string[] });
    expect(reply).toMatch(/^QUEUED \d+-\d+$/);
    expect(await redis.sendCommand(["VSTORE.SEARCH", "docs", "VALUES", "2", "3", "4"])).toEqual(["b"]);
  });

  test("a pipeline with an error in the middle", async () => {
    const replies = await Promise.allSettled([
      redis.sendCommand(["VSTORE.INSERT", "docs", "a", "FP32", fp32(1, 2)]),
      redis.sendCommand(["VSTORE.INSERT", "docs", "b", "FP32", fp32(Number.NaN, 2)]),
      redis.sendCommand(["VSTORE.CARD", "docs"]),
    ]);
    const reason = { message: "ERR 'vector' must be finite, component 1 is NaN" };
    expect(replies).toMatchObject([
      { status: "fulfilled", value: 1 },
      { status: "rejected", reason },
      { status: "fulfilled", value: 1 },
    ]);
  });
});
