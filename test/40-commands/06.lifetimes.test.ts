/**
 * The commands about the time that keys have to live, with the clock in the test's hand: a request's id carries the
 * time by which it writes, the wall clock is that by which reads judge.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { execute } from "../../src/commands/execute.ts";
import { sweepKeysMax } from "../../src/commands/internal/sweep.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import { limits } from "../../src/limits.ts";

type Word = string | number | Uint8Array;

const START = 1_000_000_000;

let directory: string;
let catalog: Catalog;
let now: number;
let requests: number;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  requests = 0;
  at(START);
  directory = mkdtempSync(join(tmpdir(), "vstore-commands-"));
  catalog = await Catalog.open(directory);
  await run("CREATE", "c", "DIM", 1, "METRIC", "L2");
});

afterEach(async () => {
  await catalog.close();
  rmSync(directory, { recursive: true });
  vi.useRealTimers();
});

/** Both clocks. */
function at(time: number): void {
  now = time;
  vi.setSystemTime(time);
}

async function run(name: string, ...words: Word[]): Promise<string> {
  const args = words.map((word) => (typeof word === "object" ? word : Buffer.from(String(word))));
  const id = `${now}-${++requests}`;
  const collection = catalog.collections().find((each) => each.name === words[0]);
  const onApplied = () => {
    if (collection && !["TTL", "PTTL", "GET", "SEARCH"].includes(name)) collection.appliedId = id;
  };
  const { bytes } = await execute({ catalog, id, time: now }, name, args, onApplied);
  return bytes.toString("latin1").trimEnd().replaceAll("\r\n", " ");
}

const insert = (key: string, ...options: Word[]) => run("INSERT", "c", key, "VALUES", 1, 1, ...options);
const ttl = (key: string) => run("TTL", "c", key);

test("EX counts seconds, PX milliseconds, from the request's own time", async () => {
  expect(await insert("a", "EX", 10)).toBe(":1");
  expect(await insert("b", "PX", 10_000, "NX", "SETATTR", "{}")).toBe(":1");
  expect([await ttl("a"), await ttl("b")]).toEqual([":10", ":10"]);
  at(START + 9_999);
  expect([await run("CARD", "c"), await ttl("a")]).toEqual([":2", ":0"]);
  at(START + 10_000);
  expect([await run("CARD", "c"), await ttl("a"), await ttl("b")]).toEqual([":0", ":-2", ":-2"]);
});

test("TTL rounds to the nearest second, as Redis does", async () => {
  await insert("a", "PX", 2_500);
  const seconds: string[] = [];
  for (const passed of [0, 1, 1_000, 1_001, 2_000, 2_001]) {
    at(START + passed);
    seconds.push(await ttl("a"));
  }
  expect(seconds).toEqual([":3", ":2", ":2", ":1", ":1", ":0"]);
});

test("nothing returns an expired key", async () => {
  await insert("gone", "SETATTR", '{"a":1}', "EX", 1);
  await insert("stays");
  at(START + 1_000);
  expect(await run("GET", "c", "gone")).toBe("_");
  expect(await run("MGET", "c", "gone", "stays")).toBe("*2 _ *1 ,1");
  expect(await run("EXISTS", "c", "gone", "stays")).toBe(":1");
  expect(await run("GETATTR", "c", "gone")).toBe("_");
  expect(await run("SCAN", "c", 0)).toBe("*2 $1 0 *1 $5 stays");
  for (const how of [[], ["EXACT"], ["COUNT", 1, "WITHDISTANCES"]]) {
    expect(await run("SEARCH", "c", "VALUES", 1, 1, ...how)).toMatch(/^\*1 (\*2 )?\$5 stays/);
  }
  expect(await run("SEARCH", "c", "KEY", "gone")).toMatch(/^-NOKEY /);
  expect(await run("INFO", "c")).toMatch(/\$7 vectors :1 \$8 expiring :1 \$7 expired :1 /);
  expect(await run("INFO")).toMatch(/\$7 vectors :1 /);
});

describe("for a write an expired key does not exist", () => {
  beforeEach(async () => {
    await insert("k", "SETATTR", '{"old":1}', "EX", 1);
    at(START + 1_000);
  });

  test.each<[string, Word[], string]>([
    ["INSERT", ["c", "k", "VALUES", 1, 2, "NX"], ":1"],
    ["INSERT", ["c", "k", "VALUES", 1, 2], ":1"],
    ["INSERT", ["c", "k", "VALUES", 1, 2, "XX"], "_"],
    ["MINSERT", ["c", 2, "k", "k", "FP32", Buffer.alloc(8)], ":1"],
    ["DEL", ["c", "k"], ":0"],
    ["SETATTR", ["c", "k", "{}"], ":0"],
    ["EXPIRE", ["c", "k", 100], ":0"],
    ["PERSIST", ["c", "k"], ":0"],
    ["SWEEP", ["c"], ":1"],
  ])("%s %j", async (name, words, reply) => {
    expect(await run(name, ...words)).toBe(reply);
    const isNew = name.endsWith("INSERT") && reply !== "_";
    expect(await run("CARD", "c")).toBe(isNew ? ":1" : ":0");
    expect(await ttl("k")).toBe(isNew ? ":-1" : ":-2");
    expect(await run("GETATTR", "c", "k")).toBe("_");
  });

  test("DEL takes it away, though it counts nothing", async () => {
    await run("DEL", "c", "k");
    expect(await run("INFO", "c")).toMatch(/\$8 expiring :0 \$7 expired :0 \$5 slots :1 \$10 dead_slots :1 /);
  });
});

test("a new vector clears the expiry, other attributes do not", async () => {
  for (const key of ["a", "b", "c", "d"]) await insert(key, "EX", 100);
  await insert("a");
  await run("MINSERT", "c", 1, "b", "FP32", Buffer.alloc(4));
  await run("SETATTR", "c", "c", "{}");
  await insert("d", "NX"); // refused
  expect([await ttl("a"), await ttl("b"), await ttl("c"), await ttl("d")]).toEqual([
    ":-1",
    ":-1",
    ":100",
    ":100",
  ]);
});

test.each<[string, string, string, string]>([
  ["NX", ":1", ":0", ":0"],
  ["XX", ":0", ":1", ":1"],
  ["GT", ":0", ":0", ":1"],
  ["LT", ":1", ":1", ":0"],
  ["", ":1", ":1", ":1"],
])(
  "EXPIRE %s of a key without expiry, with a later one, with an earlier one",
  async (condition, none, later, earlier) => {
    const options = condition === "" ? [] : [condition];
    await insert("none");
    await insert("later", "EX", 500);
    await insert("earlier", "EX", 10);
    const replies = [none, later, earlier];
    for (const [i, key] of ["none", "later", "earlier"].entries()) {
      const before = await ttl(key);
      expect(await run("EXPIRE", "c", key, 100, ...options)).toBe(replies[i]);
      expect(await ttl(key)).toBe(replies[i] === ":1" ? ":100" : before);
    }
    await insert("same", "EX", 100);
    if (condition === "GT" || condition === "LT")
      expect(await run("EXPIRE", "c", "same", 100, condition)).toBe(":0");
  },
);

test.each([0, -1, -limits.ttlSecondsMax])("EXPIRE with %i seconds deletes", async (seconds) => {
  await insert("k");
  expect(await run("EXPIRE", "c", "k", seconds, "XX")).toBe(":0");
  expect(await run("EXPIRE", "c", "k", seconds)).toBe(":1");
  expect([await run("CARD", "c"), await ttl("k")]).toEqual([":0", ":-2"]);
});

test("PERSIST", async () => {
  await insert("k", "EX", 100);
  expect(await run("PERSIST", "c", "k")).toBe(":1");
  expect(await run("PERSIST", "c", "k")).toBe(":0");
  expect(await run("PERSIST", "c", "nobody")).toBe(":0");
  at(START + 200_000);
  expect(await run("EXISTS", "c", "k")).toBe(":1");
});

test("the longest life there is, and a time from which it would be no number any more", async () => {
  expect(await insert("a", "EX", limits.ttlSecondsMax)).toBe(":1");
  expect(await insert("b", "PX", limits.ttlMsMax)).toBe(":1");
  expect(await ttl("a")).toBe(`:${limits.ttlSecondsMax}`);
  expect(await ttl("b")).toBe(`:${limits.ttlSecondsMax}`);
  now = Number.MAX_SAFE_INTEGER - 5;
  expect(await insert("x", "PX", 6)).toMatch(/^-ERR no key can expire 6 ms after 9007199254740986$/);
  expect(await insert("y", "PX", 5)).toBe(":1");
});

test("SWEEP removes a limited number, those that expired first first, and is no command of clients", async () => {
  const count = sweepKeysMax + 5;
  for (let i = 0; i < count; i++) await insert(`k${i}`, "PX", 1_000 + count - i);
  at(START + 10_000);
  expect(await run("SWEEP", "c")).toBe(`:${sweepKeysMax}`);
  // What is left is hidden; a write that was sent before still finds it.
  now = START + 1_000;
  expect(await run("EXISTS", "c", "k0", "k4", "k5")).toBe(":0");
  expect([await run("PERSIST", "c", "k5"), await run("PERSIST", "c", "k4")]).toEqual([":0", ":1"]);
  at(START + 10_000);
  expect([await run("CARD", "c"), await run("SWEEP", "c"), await run("SWEEP", "c")]).toEqual([
    ":1",
    ":4",
    ":0",
  ]);
});

describe("a write of a key that has an expiry", () => {
  test("takes it away, and keeps it with KEEPTTL", async () => {
    await insert("a", "EX", 10);
    await insert("b", "EX", 10);
    expect([await insert("a"), await insert("b", "KEEPTTL")]).toEqual([":0", ":0"]);
    expect([await ttl("a"), await ttl("b")]).toEqual([":-1", ":10"]);
    expect([await insert("new", "KEEPTTL"), await ttl("new")]).toEqual([":1", ":-1"]);
    expect(await insert("a", "KEEPTTL", "EX", 1)).toBe("-ERR 'EX', 'PX' or 'KEEPTTL' may be given only once");
  });

  test("that has expired by then keeps nothing", async () => {
    await insert("a", "EX", 10);
    at(START + 10_000);
    expect([await insert("a", "KEEPTTL"), await ttl("a")]).toEqual([":1", ":-1"]);
  });

  test("is the same for the keys of MINSERT, each for itself", async () => {
    const many = (...options: Word[]) =>
      run("MINSERT", "c", 2, "a", "b", "FP32", Buffer.from(Float32Array.of(1, 2).buffer), ...options);
    expect(await many("PX", 5_000, "SETATTR", "{}", "{}")).toBe(":2");
    expect([await ttl("a"), await ttl("b")]).toEqual([":5", ":5"]);
    await run("PERSIST", "c", "a");
    expect(await many("KEEPTTL")).toBe(":0");
    expect([await ttl("a"), await ttl("b")]).toEqual([":-1", ":5"]);
    expect(await many("EX", 7)).toBe(":0");
    expect([await ttl("a"), await ttl("b")]).toEqual([":7", ":7"]);
    expect(await many()).toBe(":0");
    expect([await ttl("a"), await ttl("b")]).toEqual([":-1", ":-1"]);
  });
});

test("a batch that is stored in slices gives its keys their expiry too", async () => {
  const keys = Array.from({ length: 1_500 }, (_, i) => `k${i}`);
  const vectors = Buffer.from(new Float32Array(keys.length).buffer);
  await insert("k7", "EX", 10);
  expect(await run("MINSERT", "c", keys.length, ...keys, "FP32", vectors, "KEEPTTL")).toBe(":1499");
  expect([await ttl("k7"), await ttl("k8")]).toEqual([":10", ":-1"]);
  expect(await run("MINSERT", "c", keys.length, ...keys, "FP32", vectors, "EX", 5)).toBe(":0");
  expect([await ttl("k0"), await ttl("k1499")]).toEqual([":5", ":5"]);
});

describe("milliseconds and points in time", () => {
  const pttl = (key: string) => run("PTTL", "c", key);

  test("PEXPIRE and PTTL count milliseconds", async () => {
    await insert("a");
    expect([await pttl("a"), await pttl("none")]).toEqual([":-1", ":-2"]);
    expect([await run("PEXPIRE", "c", "a", 1_234), await pttl("a")]).toEqual([":1", ":1234"]);
    at(START + 1_234);
    expect(await pttl("a")).toBe(":-2");
  });

  test("EXPIREAT and PEXPIREAT name the time, and delete what is past", async () => {
    for (const key of ["a", "b", "c", "d"]) await insert(key);
    expect([await run("EXPIREAT", "c", "a", START / 1_000 + 9), await pttl("a")]).toEqual([":1", ":9000"]);
    expect([await run("PEXPIREAT", "c", "b", START + 9), await pttl("b")]).toEqual([":1", ":9"]);
    expect([await run("EXPIREAT", "c", "c", 1), await pttl("c")]).toEqual([":1", ":-2"]);
    expect([await run("PEXPIREAT", "c", "d", START), await pttl("d")]).toEqual([":1", ":-2"]);
    expect(await run("PEXPIREAT", "c", "a", -1)).toMatch(
      /^-ERR 'unix-time-milliseconds' must be an integer from 0/,
    );
  });

  test.each([
    ["PEXPIRE", 5_000, 20_000],
    ["EXPIREAT", START / 1_000 + 5, START / 1_000 + 20],
    ["PEXPIREAT", START + 5_000, START + 20_000],
  ])("%s takes NX, XX, GT and LT", async (name, early, late) => {
    const set = (when: number, condition: string) => run(name, "c", "a", when, condition);
    await insert("a");
    expect([await set(late, "XX"), await set(late, "GT"), await set(late, "NX")]).toEqual([":0", ":0", ":1"]);
    expect([await set(early, "NX"), await set(early, "GT"), await set(early, "LT")]).toEqual([
      ":0",
      ":0",
      ":1",
    ]);
    expect([await set(late, "LT"), await pttl("a"), await set(late, "GT")]).toEqual([":0", ":5000", ":1"]);
    expect(await pttl("a")).toBe(":20000");
  });
});
