/**
 * FILTER wherever it may stand, and what belongs to it: EXPLAIN, MSEARCH, RANDMEMBER, DISTINCT, OFFSET, several KEYs.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../src/limits.ts";
import { eachTestOnStore, type Word } from "../harness/command-store.ts";
import { fp32 } from "../harness/fp32.ts";

const store = eachTestOnStore();
const { run } = store;
const origin = ["FP32", fp32(0, 0)];
const COUNT = 60;

/** The texts of a reply that is an array of keys. */
function keysOf(reply: string): string[] {
  expect(reply).toMatch(/^\*/);
  return reply
    .split(" ")
    .slice(1)
    .filter((_, i) => i % 2 === 1);
}
const search = async (...words: Word[]) => keysOf(await run("SEARCH", "c", ...words));
const numbers = (from: number, to: number, step = 1) =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => `k${from + i * step}`);

beforeEach(async () => {
  for (let i = 0; i < COUNT; i++) {
    const json = JSON.stringify({ n: i, group: `g${i % 3}`, doc: { id: Math.floor(i / 20) } });
    await run("INSERT", "c", `k${i}`, "FP32", fp32(i, 0), "SETATTR", json);
  }
  await run("INSERT", "c", "bare", "FP32", fp32(0.5, 0));
});

describe("FILTER", () => {
  test("of SEARCH fills COUNT, with the index and without it", async () => {
    const filter = ["FILTER", ".n >= 10 and .group == 'g1'"];
    expect(await search(...origin, "COUNT", 5, ...filter)).toEqual(numbers(10, 25, 3));
    expect(await search(...origin, "COUNT", 5, "EXACT", ...filter)).toEqual(numbers(10, 25, 3));
    await run("BUILD", "c", "WAIT");
    expect(await search(...origin, "COUNT", 5, ...filter)).toEqual(numbers(10, 25, 3));
    expect(await search(...origin, "COUNT", 100, "WITHIN", 16, ...filter)).toEqual(numbers(10, 17, 3));
    expect(await search(...origin, "FILTER", ".gone")).toEqual([]);
  });

  test("of CARD counts, and does not count what has no attributes", async () => {
    expect(await run("CARD", "c")).toBe(`:${COUNT + 1}`);
    expect(await run("CARD", "c", "FILTER", ".n < 7")).toBe(":7");
    expect(await run("CARD", "c", "FILTER", "1")).toBe(`:${COUNT}`);
    await run("SETATTR", "c", "k0", "");
    await run("DEL", "c", "k1");
    expect(await run("CARD", "c", "FILTER", ".n < 7")).toBe(":5");
    expect(await run("CARD", "c", "FILTER", ".n <")).toMatch(
      /^-ERR syntax error in FILTER expression at position 4/,
    );
  });

  test("of SCAN leaves out the others", async () => {
    const [, , , , ...words] = (await run("SCAN", "c", 0, "COUNT", 1000, "FILTER", ".n in [3, 4, 59]")).split(
      " ",
    );
    expect(words.filter((_, i) => i % 2 === 1).sort()).toEqual(["k3", "k4", "k59"]);
    expect(await run("SCAN", "c", 0, "COUNT", 1000, "FILTER", ".n < 9", "MATCH", "k3*")).toMatch(
      /\*1 \$2 k3$/,
    );
  });

  test("of DEL deletes what matches, the oldest first, COUNT of them", async () => {
    expect(await run("DEL", "c", "FILTER", ".group == 'g0'", "COUNT", 5)).toBe(":5");
    expect(await search(...origin, "COUNT", 1, "FILTER", ".group == 'g0'")).toEqual(["k15"]);
    expect(await run("DEL", "c", "FILTER", ".group == 'g0'")).toBe(":15");
    expect(await run("DEL", "c", "FILTER", ".group == 'g0'")).toBe(":0");
    expect(await run("CARD", "c")).toBe(`:${COUNT + 1 - 20}`);
    expect(await run("DEL", "c", "FILTER", ".group ==")).toMatch(/^-ERR syntax error/);
    expect(await run("DEL", "c", "FILTER", "1", "COUNT", limits.deleteMatchingMax + 1)).toMatch(
      /^-ERR 'COUNT' must be/,
    );
    expect(await run("DEL", "c")).toBe("-ERR 'key' is missing");
  });

  test("of DEL by itself is a key of that name", async () => {
    await run("INSERT", "c", "filter", ...origin);
    expect(await run("DEL", "c", "filter")).toBe(":1");
    expect(await run("CARD", "c")).toBe(`:${COUNT + 1}`);
  });
});

describe("DEL with FILTER is decided by the log alone", () => {
  test("a replay of the same requests on another store leaves the same keys", async () => {
    const requests: [string, ...Word[]][] = [
      ["SETATTR", "c", "k7", '{"n":1000}'],
      ["DEL", "c", "FILTER", ".n % 2 == 0", "COUNT", 9],
      ["INSERT", "c", "k4", "FP32", fp32(4, 4)],
      ["INSERT", "c", "k2", "FP32", fp32(2, 2), "SETATTR", '{"n":2}'],
      ["DEL", "c", "FILTER", ".n % 2 == 0 or .n > 50", "COUNT", 12],
    ];
    const replies: string[] = [];
    for (const request of requests) replies.push(await run(...request));
    const left = ["SEARCH", "c", ...origin, "COUNT", 100, "WITHDISTANCES", "WITHATTRS"] as const;
    const state = await run(...left);
    await store.close();
    await store.open();
    for (let i = 0; i < COUNT; i++) {
      const json = JSON.stringify({ n: i, group: `g${i % 3}`, doc: { id: Math.floor(i / 20) } });
      await run("INSERT", "c", `k${i}`, "FP32", fp32(i, 0), "SETATTR", json);
      // Asked for in between, matches are brought up to date bit by bit.
      if (i % 7 === 0) await run("CARD", "c", "FILTER", ".n % 2 == 0 or .n > 50");
    }
    await run("INSERT", "c", "bare", "FP32", fp32(0.5, 0));
    for (const [at, request] of requests.entries()) expect(await run(...request)).toBe(replies[at]);
    expect(await run(...left)).toBe(state);
  });
});

describe("SEARCH", () => {
  test("OFFSET leaves out the first results", async () => {
    expect(await search(...origin, "COUNT", 3, "OFFSET", 4)).toEqual(["k3", "k4", "k5"]);
    expect(await search(...origin, "COUNT", 3, "OFFSET", COUNT)).toEqual(["k59"]);
    expect(await search(...origin, "COUNT", 3, "OFFSET", 4, "FILTER", ".n > 9")).toEqual([
      "k14",
      "k15",
      "k16",
    ]);
    const { countMax } = limits;
    expect(await run("SEARCH", "c", ...origin, "COUNT", countMax - 1, "OFFSET", 1)).toMatch(/^\*60 /);
    expect(await run("SEARCH", "c", ...origin, "COUNT", countMax, "OFFSET", 1)).toMatch(
      /^-LIMIT COUNT, OFFSET/,
    );
  });

  test("DISTINCT gives so many results for each value, and as many as there are", async () => {
    expect(await search(...origin, "COUNT", 3, "DISTINCT", "group")).toEqual(["k0", "k1", "k2"]);
    expect(await search(...origin, "COUNT", 3, "DISTINCT", ".doc.id")).toEqual(["k0", "k20", "k40"]);
    expect(await search(...origin, "COUNT", 10, "DISTINCT", "doc.id", "PER", 2)).toEqual([
      "k0",
      "k1",
      "k20",
      "k21",
      "k40",
      "k41",
    ]);
    expect(await search(...origin, "COUNT", 2, "DISTINCT", "doc.id", "OFFSET", 1)).toEqual(["k20", "k40"]);
    expect(await search(...origin, "DISTINCT", "doc.id", "FILTER", ".n > 25 or .n == 7")).toEqual([
      "k7",
      "k26",
      "k40",
    ]);
    expect(await search(...origin, "DISTINCT", "gone")).toEqual([]);
    expect(await run("SEARCH", "c", ...origin, "DISTINCT", "a b")).toMatch(
      /^-ERR 'DISTINCT' must be the name of a field/,
    );
    expect(await run("SEARCH", "c", ...origin, "DISTINCT", "n", "FILTER", "1) or (1")).toMatch(
      /^-ERR syntax error/,
    );
    const tooMany = limits.distinctCountMax + 1;
    expect(await run("SEARCH", "c", ...origin, "DISTINCT", "n", "COUNT", tooMany)).toMatch(/^-LIMIT /);
    expect(await run("SEARCH", "c", ...origin, "DISTINCT", "n", "COUNT", tooMany - 1)).toMatch(/^\*60 /);
  });

  test("several KEYs are their mean, NOT KEY is taken off, and neither is a result without WITHSELF", async () => {
    expect(await search("KEY", "k10", "COUNT", 1)).toEqual(["k10"]);
    expect(await search("KEY", "k10", "KEY", "k20", "COUNT", 1)).toEqual(["k15"]);
    expect(await search("KEY", "k10", "KEY", "k20", "KEY", "k15", "COUNT", 2)).toEqual(["k14", "k16"]);
    expect(await search("KEY", "k10", "KEY", "k20", "KEY", "k15", "COUNT", 1, "WITHSELF")).toEqual(["k15"]);
    expect(await search("KEY", "k30", "NOT", "KEY", "k10", "COUNT", 1)).toEqual(["k20"]);
    expect(await search("KEY", "k30", "NOT", "KEY", "k15", "COUNT", 1, "OFFSET", 1)).toEqual(["k16"]);
    expect(await run("SEARCH", "c", "KEY", "k1", "KEY", "nobody")).toMatch(/^-NOKEY .*'nobody'/);
    expect(await run("SEARCH", "c", "KEY", "k1", "NOT", "k2")).toBe("-ERR 'KEY' must stand here, got 'k2'");
    const keys = (n: number) => Array.from({ length: n }, () => ["KEY", "k1"]).flat();
    expect(await search(...keys(limits.meanKeysMax), "COUNT", 1)).toEqual(["bare"]);
    expect(await run("SEARCH", "c", ...keys(limits.meanKeysMax + 1))).toMatch(
      /^-ERR 'KEY' must be at most 256 keys/,
    );
  });

  test("a mean without a direction is refused under COSINE", async () => {
    await run("CREATE", "d", "DIM", 2);
    await run("INSERT", "d", "a", "FP32", fp32(1, 2));
    expect(await run("SEARCH", "d", "KEY", "a", "NOT", "KEY", "a")).toMatch(
      /^-ERR 'vector' must not be all zeros/,
    );
  });
});

describe("MSEARCH", () => {
  test("answers each query as SEARCH does", async () => {
    const queries = fp32(3, 0, 30, 0);
    expect(await run("MSEARCH", "c", 2, "FP32", queries, "COUNT", 1)).toBe("*2 *1 $2 k3 *1 $3 k30");
    expect(
      await run("MSEARCH", "c", 2, "FP32", queries, "COUNT", 1, "FILTER", ".n > 9", "WITHDISTANCES"),
    ).toBe("*2 *1 *2 $3 k10 ,7 *1 *2 $3 k30 ,0");
    expect(await run("MSEARCH", "c", 2, "FP32", queries, "COUNT", 2, "DISTINCT", "doc.id", "OFFSET", 1)).toBe(
      "*2 *2 $3 k20 $3 k40 *2 $3 k40 $3 k19",
    );
  });

  test("has limits on queries and on all results together", async () => {
    const { queriesMax, queriesResultsMax } = limits;
    const queries = (n: number) => fp32(...Array.from({ length: 2 * n }, () => 1));
    expect(await run("MSEARCH", "c", queriesMax, "FP32", queries(queriesMax), "COUNT", 1)).toMatch(
      /^\*1024 \*1 /,
    );
    expect(await run("MSEARCH", "c", queriesMax + 1, "FP32", queries(1))).toMatch(
      /^-ERR 'count' must be an integer/,
    );
    const count = queriesResultsMax / 100;
    expect(await run("MSEARCH", "c", 100, "FP32", queries(100), "COUNT", count)).toMatch(/^\*100 /);
    expect(await run("MSEARCH", "c", 100, "FP32", queries(100), "COUNT", count + 1)).toMatch(/^-LIMIT /);
    expect(await run("MSEARCH", "c", 2, "FP32", queries(1))).toMatch(/^-ERR 'vector' must be 16 bytes/);
  });
});

describe("RANDMEMBER", () => {
  test("answers one key, or nil, or different ones", async () => {
    expect(await run("RANDMEMBER", "c")).toMatch(/^\$\d+ (k\d+|bare)$/);
    const some = keysOf(await run("RANDMEMBER", "c", 10));
    expect(new Set(some).size).toBe(10);
    const all = keysOf(await run("RANDMEMBER", "c", limits.randomKeysMax));
    expect(all.sort()).toEqual([...numbers(0, COUNT), "bare"].sort());
    expect(await run("RANDMEMBER", "c", 0)).toBe("*0");
    expect(await run("RANDMEMBER", "c", limits.randomKeysMax + 1)).toMatch(/^-ERR 'count' must be/);
    await run("CREATE", "d", "DIM", 2);
    expect(await run("RANDMEMBER", "d")).toBe("_");
    expect(await run("RANDMEMBER", "d", 3)).toBe("*0");
  });

  test("reaches every key, also where most are dead", async () => {
    expect(await run("DEL", "c", "FILTER", ".n > 1 and .n < 58")).toBe(":56");
    const seen = new Set<string>();
    for (let i = 0; i < 300; i++) seen.add((await run("RANDMEMBER", "c")).split(" ")[1]!);
    expect([...seen].sort()).toEqual(["bare", "k0", "k1", "k58", "k59"]);
  });
});

test("EXPLAIN tells matches, plan and columns", async () => {
  const reply = await run("EXPLAIN", "c", "FILTER", ".n < 30 and .gone? == null", "COUNT", 5);
  expect(reply).toMatch(/\$7 vectors :61 \$17 estimated_matches :30 \$7 matches :30 \$4 plan \$7 compare /);
  expect(reply).toMatch(/ \$5 count :5 \$2 ef :100 \$7 columns \*2 \$1 n \$4 gone \$14 without_column \*0 /);
  expect(await run("EXPLAIN", "c", "FILTER", "(")).toMatch(/^-ERR syntax error/);
  expect(await run("EXPLAIN", "c")).toBe("-ERR 'FILTER' is missing");
});

test("INFO counts the columns and what they do not keep", async () => {
  await run("INSERT", "c", "long", ...origin, "SETATTR", JSON.stringify({ n: 1, text: "x".repeat(300) }));
  expect(await run("CARD", "c", "FILTER", ".n == 1")).toBe(":2");
  const info = await run("INFO", "c");
  expect(info).toMatch(/ \$13 filter_fields :4 /);
  expect(info).toMatch(/ \$18 filter_fields_full :0 /);
  expect(info).toMatch(/ \$21 filter_values_in_json :1 /);
  expect(await run("CARD", "c", "FILTER", `.text == '${"x".repeat(300)}'`)).toBe(":1");
});

test("fields beyond the limit are read from the JSON", async () => {
  const fields = Array.from({ length: limits.columnFieldsMax + 10 }, (_, i) => [`f${i}`, i]);
  await run("INSERT", "c", "many", ...origin, "SETATTR", JSON.stringify(Object.fromEntries(fields)));
  const last = limits.columnFieldsMax + 9;
  expect(await run("CARD", "c", "FILTER", `.f${last} == ${last} and .f0 == 0`)).toBe(":1");
  expect(await run("INFO", "c")).toMatch(/ \$18 filter_fields_full :1 /);
});
