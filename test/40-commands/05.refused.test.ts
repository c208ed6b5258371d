/** Requests that are wrong: each error, and that what is refused changes nothing. */

import { describe, expect, test } from "vitest";
import { execute } from "../../src/commands/execute.ts";
import type { Catalog } from "../../src/engine/catalog.ts";
import { eachTestOnStore, type Word } from "../harness/command-store.ts";
import { fp32 } from "../harness/fp32.ts";

const store = eachTestOnStore();
const { run, start, state } = store;

describe("a request that is wrong", () => {
  const vector = ["FP32", fp32(1, 2)] as const;
  const unknown = "-NOCOLLECTION ";

  test.each<[string, Word[]]>([
    ["INSERT", ["nobody", "k", ...vector]],
    ["MINSERT", ["nobody", 1, "k", ...vector]],
    ["GET", ["nobody", "k"]],
    ["MGET", ["nobody", "k"]],
    ["DEL", ["nobody", "k"]],
    ["EXISTS", ["nobody", "k"]],
    ["CARD", ["nobody"]],
    ["SETATTR", ["nobody", "k", "{}"]],
    ["GETATTR", ["nobody", "k"]],
    ["EXPIRE", ["nobody", "k", 1]],
    ["TTL", ["nobody", "k"]],
    ["PERSIST", ["nobody", "k"]],
    ["SWEEP", ["nobody"]],
    ["SCAN", ["nobody", 0]],
    ["SEARCH", ["nobody", ...vector]],
    ["BUILD", ["nobody"]],
    ["CHECKPOINT", ["nobody"]],
    ["INFO", ["nobody"]],
    ["DROP", ["nobody"]],
  ])("%s of an unknown collection", async (name, words) => {
    const reply = await run(name, ...words);
    expect(reply.slice(0, unknown.length)).toBe(unknown);
    expect(reply).toContain("nobody");
  });

  test.each<[string, Word[], string | RegExp]>([
    ["INSERT", ["c", "k", "FP32", Buffer.alloc(7)], "-ERR 'vector' must be 8 bytes (2 x float32), got 7"],
    ["INSERT", ["c", "k", "FP32", Buffer.alloc(9)], "-ERR 'vector' must be 8 bytes (2 x float32), got 9"],
    ["INSERT", ["c", "k", "VALUES", 3, 1, 2, 3], "-ERR 'vector' must be 2 numbers, got 3"],
    ["INSERT", ["c", "k", "FP32", fp32(1, Number.NaN)], "-ERR 'vector' must be finite, component 2 is NaN"],
    [
      "INSERT",
      ["c", "k", "FP32", fp32(Number.POSITIVE_INFINITY, 1)],
      "-ERR 'vector' must be finite, component 1 is Infinity",
    ],
    ["INSERT", ["c", "k", "VALUES", 2, "1e39", 1], "-ERR 'vector' must be finite, component 1 is Infinity"],
    [
      "INSERT",
      ["c", "k".repeat(2000), ...vector],
      /^-ERR 'key' must be 1 to 1024 bytes, got '.*' \(2000 bytes\)$/,
    ],
    ["INSERT", ["../../etc", "k", ...vector], /^-ERR 'collection' must be .*, got '\.\.\/\.\.\/etc'$/],
    ["INSERT", ["c", "k"], "-ERR 'vector' is missing"],
    ["MINSERT", ["c", 2, "a", "b", ...vector], "-ERR 'vector' must be 16 bytes (2 x 2 x float32), got 8"],
    [
      "MINSERT",
      ["c", 1, "a", ...vector, "SETATTR", "{}", "{}"],
      "-ERR 'SETATTR' must be 1 JSON texts, got 2",
    ],
    ["MINSERT", ["c", 1, "a", ...vector, "SETATTR", "[]"], /^-ERR 'SETATTR' must be a JSON object/],
    ["SEARCH", ["c", "FP32", fp32(1, Number.NaN)], "-ERR 'vector' must be finite, component 2 is NaN"],
    ["SEARCH", ["c", "FP32", fp32(1)], "-ERR 'vector' must be 8 bytes (2 x float32), got 4"],
    [
      "SEARCH",
      ["c", ...vector, "WITHVALUES"],
      "-ERR 'WITHVALUES' needs a client of Redis whose rights the module knows",
    ],
    ["SEARCH", ["c", ...vector, "FIELDS", "a"], "-ERR 'FIELDS' needs 'WITHVALUES'"],
    ["SEARCH", ["c", "k"], "-ERR 'query' must begin with FP32, VALUES or KEY, got 'k'"],
    ["SETATTR", ["c", "k", "7"], /^-ERR 'json' must be a JSON object/],
    ["CREATE", ["x", "DIM", 0], "-ERR 'DIM' must be an integer from 1 to 16384, got 0"],
    ["FLY", ["c"], "-ERR unknown command 'VSTORE.FLY'"],
    ["FLY\r\n", ["c"], "-ERR unknown command 'VSTORE.FLY\\r\\n'"],
  ])("%s %j changes nothing", async (name, words, message) => {
    const before = await state();
    const reply = await run(name, ...words);
    if (typeof message === "string") expect(reply).toBe(message);
    else expect(reply).toMatch(message);
    expect(await state()).toEqual(before);
  });

  test("a zero vector has no direction", async () => {
    await run("CREATE", "angles", "DIM", 2);
    expect(await run("INSERT", "angles", "k", "FP32", fp32(0, 0))).toMatch(/^-ERR 'vector'.*zero/);
    expect(await run("SEARCH", "angles", "FP32", fp32(0, 0))).toMatch(/^-ERR 'vector'.*zero/);
    expect(await run("CARD", "angles")).toBe(":0");
    expect(await run("INSERT", "c", "k", "FP32", fp32(0, 0))).toBe(":1");
  });

  test("is marked as applied like any other", async () => {
    await start("INSERT", "c", "k", "FP32", Buffer.alloc(7));
    expect(store.catalog.get("c").appliedId).toBe(`${store.requests}-0`);
  });
});

describe("an error that no code raised on purpose", () => {
  test("is an internal error for the client and is reported", async () => {
    const broken = { get: () => undefined } as unknown as Catalog;
    const seen: unknown[] = [];
    const context = {
      catalog: broken,
      id: "1-0",
      time: 1,
      onUnexpectedError: (error: unknown, name: string) => seen.push(error, name),
    };
    const { bytes, error } = await execute(context, "CARD", [Buffer.from("c")]);
    expect(bytes.toString()).toMatch(/^-ERR internal error: .+\r\n$/);
    expect(error).toBeInstanceOf(TypeError);
    expect(seen).toEqual([error, "CARD"]);
  });
});
