/** No piece of work takes the event loop for as long as its input is large: turns are counted, so no clock decides. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { execute } from "../../src/commands/execute.ts";
import { assertWork, RowsLookedAtAgain } from "../../src/commands/search/msearch-work.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import { Expression } from "../../src/engine/filter/expression.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { TimeSlice } from "../../src/engine/time-slice.ts";
import { limits } from "../../src/limits.ts";
import { temporaryDirectory } from "../harness/directory.ts";

let catalog: Catalog;
const time = Date.now();

beforeEach(async () => {
  catalog = await Catalog.open(`${temporaryDirectory()}/data`);
});

afterEach(() => catalog.close());

/** How many turns the event loop makes while something is under way. */
async function turnsOf(work: Promise<unknown>): Promise<number> {
  let [turns, isOver] = [0, false];
  const over = () => {
    isOver = true;
  };
  work.then(over, over);
  for (; !isOver; turns++) await nextTurn();
  await work;
  return turns;
}

function spin(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

test("slices of many tasks share a turn", async () => {
  const tasks = 40;
  const steps = 10;
  const counts: number[] = [0];
  let isOver = false;
  const task = async () => {
    const slice = new TimeSlice();
    for (let i = 0; i < steps; i++) {
      if (slice.spent) await slice.pause();
      spin(1);
      counts[counts.length - 1]!++;
    }
  };
  const count = async () => {
    for (; !isOver; counts.push(0)) await nextTurn();
  };
  const counting = count();
  await Promise.all(Array.from({ length: tasks }, task));
  isOver = true;
  await counting;
  // All tasks begin in the first turn; then at most 8 ms, and one step that goes beyond, are there for them.
  expect(Math.max(...counts.slice(1))).toBeLessThanOrEqual(10);
});

test("attributes that are written between preparing a filter and searching are read in slices", async () => {
  const large = 300;
  const collection = await catalog.create("late", resolveOptions({ dimensions: 1, metric: "L2" }), "1-0");
  const keysOf = (prefix: string) => Array.from({ length: large }, (_, i) => Buffer.from(`${prefix}${i}`));
  const text = Buffer.from(`{"a":${"[".repeat(10_000)}${"]".repeat(10_000)},"b":"${"x".repeat(300)}"}`);
  collection.insertBatch(
    keysOf("before"),
    new Float32Array(large),
    keysOf("").map(() => '{"b":"y"}'),
  );
  const search = () => collection.search(new Float32Array(1), { k: 10_000, filter: '.b != "z"' });
  expect(await search()).toHaveLength(large);
  const commit = await collection.insertLargeBatch({
    keys: keysOf("after"),
    vectorOf: () => new Float32Array(1),
    attributes: keysOf("").map(() => text),
    time,
    lifetime: {},
  });
  const found = search();
  // The filter is prepared, and the search has not begun.
  for (let i = 0; i < 10; i++) await undefined;
  commit();
  expect(await turnsOf(found)).toBeGreaterThan(large / 10);
  expect(await found).toHaveLength(2 * large);
});

test("what an expression costs follows from its length and that of the attributes", () => {
  const digits = `${"1".repeat(254)}x`;
  const part = `${"a".repeat(8_000)}b${"a".repeat(8_000)}`;
  const document = {
    digits,
    text: "a".repeat(60_000),
    part,
    array: Array.from({ length: 30_000 }, (_, i) => `${i}`),
  };
  const start = process.cpuUsage();
  const comparisons = Array.from({ length: 1_000 }, () => ".digits == 0").join(" and ");
  expect(new Expression(comparisons).matches(document)).toBe(true);
  expect(
    new Expression(Array.from({ length: 128 }, () => ".part in .text").join(" or ")).matches(document),
  ).toBe(false);
  expect(
    new Expression(Array.from({ length: 128 }, (_, i) => `-${i}.5 in .array`).join(" or ")).matches(document),
  ).toBe(false);
  const { user, system } = process.cpuUsage(start);
  // Comparing at each place, and with each element, takes a minute.
  expect((user + system) / 1_000).toBeLessThan(3_000);
  const { filterInFieldsMax } = limits;
  const many = (count: number) => Array.from({ length: count }, () => "1 in .array").join(" or ");
  expect(new Expression(many(filterInFieldsMax)).matches(document)).toBe(true);
  expect(() => new Expression(many(filterInFieldsMax + 1))).toThrow(
    `has more than ${filterInFieldsMax} times 'in' with a field after it`,
  );
});

test("'in' finds what comparing at each place, and with each element, finds", () => {
  const random = generator(testSeed());
  const below = (n: number) => Math.floor(random() * n);
  const inText = new Expression(".a in .b");
  for (let i = 0; i < 500; i++) {
    const letters = 1 + below(2);
    const textOf = (length: number) => Array.from({ length }, () => "ab"[below(letters)]).join("");
    const [a, b] = [textOf(below(2) === 0 ? 12 : 300), textOf(1_000 + below(20_000))];
    const isPart = below(2) === 0;
    const whole = isPart ? `${b.slice(0, 500)}${a}${b.slice(500)}` : b;
    expect(inText.matches({ a, b: whole })).toBe(whole.includes(a));
  }
  const values = [
    0,
    1,
    -1,
    2.5,
    "0",
    "1",
    "2.5",
    "x",
    "",
    true,
    null,
    "0x1",
    " 1",
    "nan",
    "inf",
    Number.POSITIVE_INFINITY,
  ];
  for (let i = 0; i < 500; i++) {
    const few = Array.from({ length: 1 + below(6) }, () => values[below(values.length)]!);
    // So many of the same that it is no longer looked through.
    const many = Array.from({ length: 50 }, (_, at) => few[at % few.length]!);
    const a = below(8) === 0 ? [] : values[below(values.length)]!;
    expect(inText.matches({ a, b: many }), JSON.stringify([a, few])).toBe(inText.matches({ a, b: few }));
  }
});

const run = async (name: string, ...args: (string | number | Buffer)[]) => {
  const bytes = args.map((each) => (Buffer.isBuffer(each) ? each : Buffer.from(String(each))));
  return (await execute({ catalog, id: "5-0", time }, name, bytes)).bytes.toString("latin1");
};

test("an MSEARCH asks once for the room of its answer, and is refused beyond the limit", async () => {
  const collection = await catalog.create("room", resolveOptions({ dimensions: 1, metric: "L2" }), "2-0");
  const keys = Array.from({ length: 100 }, (_, i) => Buffer.from(`k${i}`));
  collection.insertBatch(
    keys,
    new Float32Array(100),
    keys.map(() => `{"a":"${"x".repeat(60_000)}"}`),
  );
  const asked: number[] = [];
  const answerRoom = async (bytes: number) => {
    asked.push(bytes);
  };
  const search = (queries: number) =>
    execute({ catalog, id: "5-0", time, answerRoom }, "MSEARCH", [
      ...["room", `${queries}`, "FP32"].map((word) => Buffer.from(word)),
      Buffer.alloc(4 * queries),
      ...["COUNT", "100", "WITHATTRS"].map((word) => Buffer.from(word)),
    ]);
  expect((await search(11)).error).toBeUndefined();
  expect(asked).toHaveLength(1);
  expect(asked[0]).toBeGreaterThan(11 * 100 * 60_000);
  expect((await search(12)).error?.message).toMatch(/^the answer would have up to \d+ bytes, more than/);
  expect(asked).toHaveLength(1);
});

test("an MSEARCH keeps so many candidates, a SCAN returns so many bytes", async () => {
  const { queriesCandidatesMax, scanBytesMax, keyBytesMax } = limits;
  const collection = await catalog.create("bytes", resolveOptions({ dimensions: 1, metric: "L2" }), "3-0");
  const queries = 500;
  const msearch = (ef: number) =>
    run("MSEARCH", "bytes", queries, "FP32", Buffer.alloc(4 * queries), "EF", ef);
  const inside = queriesCandidatesMax / queries;
  expect(await msearch(inside)).toMatch(/^\*500\r\n/);
  expect(await msearch(inside + 1)).toBe(
    `-LIMIT the queries of one MSEARCH must keep at most ${queriesCandidatesMax} candidates together, ` +
      `got ${queries} x EF ${inside + 1}\r\n`,
  );
  const count = (1.5 * scanBytesMax) / keyBytesMax;
  for (let at = 0; at < count; at += 1_000) {
    const keys = Array.from({ length: 1_000 }, (_, i) => Buffer.from(`${at + i}:`.padEnd(keyBytesMax, "k")));
    collection.insertBatch(keys, new Float32Array(1_000));
  }
  const answer = await run("SCAN", "bytes", 0, "COUNT", limits.scanCountMax);
  expect(answer.length).toBeGreaterThan(scanBytesMax);
  expect(answer.length).toBeLessThan(1.1 * scanBytesMax);
  expect(answer).not.toMatch(/^\*2\r\n\$1\r\n0\r\n/);
});

test("an MSEARCH makes so many comparisons, and one query any number", async () => {
  const dimensions = limits.dimensionsMax;
  const queries = 1_000;
  const rows = Math.floor(limits.queriesComponentsMax / queries / dimensions);
  const work = { queries, wanted: 10, ef: 100, exact: true, rows, tail: 0, dimensions };
  expect(() => assertWork(work)).not.toThrow();
  expect(() => assertWork({ ...work, exact: false, rows: 2 * rows, tail: rows })).not.toThrow();
  expect(() => assertWork({ ...work, queries: 1, rows: 1e9 })).not.toThrow();
  const each = `as each query is compared with ${rows + 1} rows of ${dimensions} components, got ${queries}`;
  expect(() => assertWork({ ...work, rows: rows + 1 })).toThrow(
    `'count' must be at most ${queries - 1} with EXACT, ${each}`,
  );
  expect(() => assertWork({ ...work, exact: false, rows: rows + 1, tail: rows + 1 })).toThrow(
    `'count' must be at most ${queries - 1} until the index has all vectors, ${each}`,
  );
  const collection = await catalog.create("wide", resolveOptions({ dimensions, metric: "L2" }), "4-0");
  for (let at = 0; at <= rows; at += 100) {
    const count = Math.min(100, rows + 1 - at);
    const keys = Array.from({ length: count }, (_, i) => Buffer.from(`${at + i}`));
    collection.insertBatch(keys, new Float32Array(count * dimensions));
  }
  const ask = (count: number) =>
    run("MSEARCH", "wide", count, "FP32", Buffer.alloc(4 * count * dimensions), "EXACT", "COUNT", 1);
  expect(await ask(queries)).toBe(`-LIMIT 'count' must be at most ${queries - 1} with EXACT, ${each}\r\n`);
  expect(await ask(2)).toMatch(/^\*2\r\n/);
});

test("an MSEARCH with DISTINCT looks at so many rows again, and one query at any number", async () => {
  const rows = 25_000;
  const collection = await catalog.create("same", resolveOptions({ dimensions: 1, metric: "L2" }), "6-0");
  const keys = Array.from({ length: rows }, (_, i) => Buffer.from(`${i}`));
  collection.insertBatch(
    keys,
    Float32Array.from(keys, (_, i) => i),
    keys.map((_, i) => (i < rows - 2 ? '{"v":"common"}' : `{"v":${i}}`)),
  );
  const inside = Math.floor(limits.queriesRowsMax / rows);
  const ask = (count: number) =>
    run("MSEARCH", "same", count, "FP32", Buffer.alloc(4 * count), "DISTINCT", "v", "COUNT", 2);
  expect(await ask(2)).toBe("*2\r\n".concat("*2\r\n$1\r\n0\r\n$5\r\n24998\r\n".repeat(2)));
  expect(await ask(inside + 1)).toMatch(
    /^-LIMIT the queries of one MSEARCH with DISTINCT would look at more than 5000000 rows again/,
  );
  const many = new RowsLookedAtAgain(2);
  many.add(limits.queriesRowsMax);
  expect(() => many.add(1)).toThrow("rows again");
  new RowsLookedAtAgain(1).add(limits.queriesRowsMax + 1);
}, 30_000);

test("a followed hash has so many fields, whatever an entry says", async () => {
  const collection = await catalog.create(
    "followed",
    resolveOptions({
      dimensions: 1,
      metric: "L2",
      follow: { prefix: "h:", hash: { field: "v", attributes: ["a"] } },
    }),
    "7-0",
  );
  const { followAttributesMax } = limits;
  const pairs = (fields: number) => Array.from({ length: fields }, (_, i) => [`f${i}`, "x"]).flat();
  const take = (fields: number) => run("FOLLOWED", "followed", "h:1", Buffer.alloc(4), ...pairs(fields));
  expect(await take(followAttributesMax)).toBe(":1\r\n");
  expect(Object.keys(JSON.parse(collection.getAttributes(Buffer.from("h:1"))!))).toHaveLength(
    followAttributesMax,
  );
  expect(await take(followAttributesMax + 1)).toBe(
    `-ERR the hash 'h:1' has no usable attributes: they must be at most ${followAttributesMax} fields\r\n`,
  );
  expect(collection.getAttributes(Buffer.from("h:1")) || undefined).toBeUndefined();
});
