/** GET, MGET, SCAN and SEARCH: the shape of each reply, and the limits. */

import { beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../src/limits.ts";
import { eachTestOnStore, type Word } from "../harness/command-store.ts";
import { fp32 } from "../harness/fp32.ts";

const store = eachTestOnStore();
const { run, start } = store;

describe("GET and MGET", () => {
  test("doubles, or the bytes, or nil", async () => {
    await run("INSERT", "c", "a", "FP32", fp32(0.1, -2));
    expect(await run("GET", "c", "a")).toBe("*2 ,0.10000000149011612 ,-2");
    const { bytes } = await start("GET", "c", "a", "RAW");
    expect(bytes.equals(Buffer.concat([Buffer.from("$8\r\n"), fp32(0.1, -2), Buffer.from("\r\n")]))).toBe(
      true,
    );
    expect(await run("GET", "c", "nobody")).toBe("_");
    expect(await run("GET", "c", "nobody", "RAW")).toBe("_");
    expect(await run("MGET", "c", "nobody", "a")).toBe("*2 _ *2 ,0.10000000149011612 ,-2");
    expect(await run("MGET", "c", "RAW", 2, "nobody", "a")).toBe(
      `*2 _ $8 ${fp32(0.1, -2).toString("latin1")}`,
    );
    expect(await run("MGET", "c", "RAW", "a")).toBe("*2 _ *2 ,0.10000000149011612 ,-2");
    expect(await run("MGET", "c", "RAW", 2, "a")).toBe("*3 _ _ *2 ,0.10000000149011612 ,-2");
  });
});

describe("SCAN", () => {
  const keys = Array.from({ length: 25 }, (_, i) => `key:${i}`);

  async function scanAll(...options: Word[]): Promise<string[]> {
    const found: string[] = [];
    let cursor = "0";
    do {
      const [, , next, , ...words] = (await run("SCAN", "c", cursor, ...options)).split(" ");
      cursor = next!;
      found.push(...words.filter((_, i) => i % 2 === 1));
    } while (cursor !== "0");
    return found.sort();
  }

  beforeEach(async () => {
    for (const [i, key] of keys.entries()) await run("INSERT", "c", key, "FP32", fp32(i, i));
  });

  test("answers the next cursor and some keys", async () => {
    expect(await run("SCAN", "c", 0, "COUNT", 2)).toMatch(/^\*2 \$\d+ [1-9]\d+ \*[23]( \$\d key:\d+)+$/);
    expect(await run("SCAN", "c", 0, "COUNT", 100)).toMatch(/^\*2 \$1 0 \*25 /);
  });

  test("begins again with a cursor that is not its own", async () => {
    expect(await run("SCAN", "c", 24, "COUNT", 100)).toMatch(/^\*2 \$1 0 \*25 /);
  });

  test.each([1, 3, 10, limits.scanCountMax])("finds every key, %i at a time", async (count) => {
    await run("DEL", "c", "key:7");
    expect(await scanAll("COUNT", count)).toEqual(keys.filter((key) => key !== "key:7").sort());
  });

  test("MATCH leaves out the others", async () => {
    expect(await scanAll("MATCH", "key:2?")).toEqual(["key:20", "key:21", "key:22", "key:23", "key:24"]);
    expect(await run("SCAN", "c", 0, "MATCH", "x*")).toMatch(/^\*2 \$\d+ \d+ \*0$/);
  });

  test("gives attributes and expiry of each key beside it, in this order", async () => {
    await run("DEL", "c", ...keys.slice(2));
    await run("SETATTR", "c", "key:0", '{"a":1}');
    await run("PEXPIREAT", "c", "key:1", 4_000_000_000_000);
    const rows = ['*3 $5 key:0 $7 {"a":1} :-1', "*3 $5 key:1 _ :4000000000000"];
    // Keys come in any order.
    expect([rows, rows.toReversed()].map((each) => `*2 $1 0 *2 ${each.join(" ")}`)).toContain(
      await run("SCAN", "c", 0, "COUNT", 100, "WITHEXPIRETIME", "WITHATTRS"),
    );
    expect(await run("SCAN", "c", 0, "COUNT", 100, "WITHATTRS", "MATCH", "*0")).toBe(
      '*2 $1 0 *1 *2 $5 key:0 $7 {"a":1}',
    );
    expect(await run("SCAN", "c", 0, "COUNT", 100, "WITHEXPIRETIME", "MATCH", "*1")).toBe(
      "*2 $1 0 *1 *2 $5 key:1 :4000000000000",
    );
  });

  test("ends a page of large attributes before COUNT, and all pages together have every key", async () => {
    const long = `{"a":"${"x".repeat(limits.attributesBytesMax - 8)}"}`;
    const many = Array.from({ length: 600 }, (_, i) => `long:${i}`);
    for (const key of many) await run("INSERT", "c", key, "FP32", fp32(1, 1), "SETATTR", long);
    const sizes: number[] = [];
    let cursor = "0";
    do {
      const words = ["SCAN", "c", cursor, "COUNT", limits.scanCountMax, "WITHATTRS", "MATCH", "long*"];
      const [, , next, , ...rest] = (await run(...(words as [string, ...Word[]]))).split(" ");
      cursor = next!;
      sizes.push(rest.filter((word) => word === long).length);
    } while (cursor !== "0");
    expect(sizes.length).toBeGreaterThan(1);
    const pageMax = limits.scanBytesMax / limits.attributesBytesMax + 64;
    expect(Math.max(...sizes)).toBeLessThanOrEqual(pageMax);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(many.length);
  });

  test.each<[Word[], string]>([
    [[-1], "-ERR 'cursor' must be an integer from 0 to 9007199254740991, got -1"],
    [
      ["9007199254740992"],
      "-ERR 'cursor' must be an integer from 0 to 9007199254740991, got 9007199254740992",
    ],
    [["x"], "-ERR 'cursor' must be an integer from 0 to 9007199254740991, got 'x'"],
    [[0, "COUNT", 0], "-ERR 'COUNT' must be an integer from 1 to 100000, got 0"],
    [[0, "COUNT", 100001], "-ERR 'COUNT' must be an integer from 1 to 100000, got 100001"],
  ])("%j is refused", async (words, message) => {
    expect(await run("SCAN", "c", ...words)).toBe(message);
  });
});

describe("SEARCH", () => {
  beforeEach(async () => {
    await run(
      "MINSERT",
      "c",
      3,
      "far",
      "near",
      "mid",
      "FP32",
      fp32(9, 0, 1, 0, 3, 4),
      "SETATTR",
      '{"n":1}',
      "",
      "{}",
    );
  });

  test("nearest first, as keys", async () => {
    expect(await run("SEARCH", "c", "FP32", fp32(0, 0))).toBe("*3 $4 near $3 mid $3 far");
    expect(await run("SEARCH", "c", "VALUES", 2, 9, 0, "COUNT", 1)).toBe("*1 $3 far");
    expect(await run("SEARCH", "c", "KEY", "mid", "COUNT", 2)).toBe("*2 $3 mid $4 near");
  });

  test("with distances, attributes or both", async () => {
    const query = ["c", "FP32", fp32(0, 0), "COUNT", 3] as const;
    expect(await run("SEARCH", ...query, "WITHDISTANCES")).toBe("*3 *2 $4 near ,1 *2 $3 mid ,5 *2 $3 far ,9");
    expect(await run("SEARCH", ...query, "WITHATTRS")).toBe(
      '*3 *2 $4 near _ *2 $3 mid $2 {} *2 $3 far $7 {"n":1}',
    );
    expect(await run("SEARCH", ...query, "WITHATTRS", "WITHDISTANCES")).toBe(
      '*3 *2 $4 near *2 ,1 _ *2 $3 mid *2 ,5 $2 {} *2 $3 far *2 ,9 $7 {"n":1}',
    );
  });

  test("EXACT, EF and WITHIN", async () => {
    expect(await run("SEARCH", "c", "FP32", fp32(0, 0), "EXACT", "WITHIN", 5)).toBe("*2 $4 near $3 mid");
    expect(await run("SEARCH", "c", "FP32", fp32(0, 0), "WITHIN", 4.9, "EF", 10)).toBe("*1 $4 near");
    expect(await run("SEARCH", "c", "FP32", fp32(0, 0), "WITHIN", -1)).toBe("*0");
  });

  test("the same before and after BUILD", async () => {
    const query = ["c", "FP32", fp32(1, 1), "WITHDISTANCES"] as const;
    const before = await run("SEARCH", ...query);
    await run("BUILD", "c", "WAIT");
    expect(await run("SEARCH", ...query)).toBe(before);
  });

  test("COUNT and EF have limits", async () => {
    const search = (...words: Word[]) => run("SEARCH", "c", "FP32", fp32(0, 0), ...words);
    expect(await search("COUNT", limits.countMax, "EF", limits.efMax)).toBe("*3 $4 near $3 mid $3 far");
    expect(await search("COUNT", limits.countMin, "EF", limits.efMin)).toBe("*1 $4 near");
    expect(await search("COUNT", limits.countMax + 1)).toMatch(/^-ERR 'COUNT' must be .* got 10001$/);
    expect(await search("EF", 0)).toBe("-ERR 'EF' must be an integer from 1 to 10000, got 0");
    expect(await search("EF", limits.efMax + 1)).toMatch(/^-ERR 'EF' must be .* got 10001$/);
  });

  test("an unknown key is an error", async () => {
    expect(await run("SEARCH", "c", "KEY", "no\nbody")).toBe(
      "-NOKEY 'KEY' must be a key of the collection, got 'no\\nbody'",
    );
  });
});
