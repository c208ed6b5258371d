/**
 * Jobs of the ingest queue, before anything is sent: what is taken, what is refused and why, what becomes of the order.
 */

import { describe, expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { toBatches } from "../../src/bridge/ingest/batches.ts";
import { checkItem } from "../../src/bridge/ingest/item.ts";
import { MalformedJob, readJob } from "../../src/bridge/ingest/job.ts";
import { limits } from "../../src/limits.ts";
import { fp32 } from "../harness/fp32.ts";
import { base64 } from "../harness/ingest-queue.ts";

const jobLimits = { jobItems: 3, jobBytes: 200 };
const read = (data: unknown) => readJob(JSON.stringify(data), jobLimits);

describe("a job", () => {
  test("is a collection and items, which are taken as they come", () => {
    expect(read({ collection: "c", items: [1, {}] })).toEqual({ collection: "c", items: [1, {}] });
  });

  test.each([
    [[], "'job' must be an object {collection, items}"],
    ["text", "'job' must be an object"],
    [{ items: [1] }, "'collection' must be a string"],
    [{ collection: "", items: [1] }, "'collection' must be 1 to 80 characters"],
    [{ collection: "a b", items: [1] }, "'collection' must be 1 to 80 characters"],
    [{ collection: "{c}", items: [1] }, "'collection' must be a name with braces only as one hash tag"],
    [{ collection: "c" }, "'items' must be an array"],
    [{ collection: "c", items: {} }, "'items' must be an array"],
    [{ collection: "c", items: [] }, "'items' must be an array of at least one item"],
    [{ collection: "c", items: [1], itmes: [] }, "'itmes' is not a member of the job"],
    [{ collection: "c", items: [1, 2, 3, 4] }, "LIMIT the job has 4 items; the limit is 3"],
  ])("%j is refused: %s", (data, reason) => {
    expect(() => read(data)).toThrow(MalformedJob);
    expect(() => read(data)).toThrow(reason);
  });

  test("is JSON, and its text is limited before it is parsed", () => {
    expect(() => readJob("{not json", jobLimits)).toThrow("ERR the job's data must be JSON");
    const padded = (length: number) => `{"collection":"c","items":[1]${" ".repeat(length - 30)}}`;
    expect(readJob(padded(200), jobLimits).items).toEqual([1]);
    expect(() => readJob(padded(201), jobLimits)).toThrow(
      "LIMIT the job has 201 bytes of JSON; the limit is 200",
    );
  });
});

const shape = { dimensions: 3, metric: "COSINE" } as const;
const check = (item: unknown) => checkItem(item, shape);
const good = { key: "k", vector: [1, 2, 3] };

describe("an item", () => {
  test("has its vector as numbers or as base64 of float32", () => {
    expect(check(good)).toEqual({ key: "k", vector: new Float32Array([1, 2, 3]), attributes: undefined });
    expect(check({ key: "k", vector: base64(1, 2, 3) })).toEqual(check(good));
  });

  test("may have attributes, and those are its JSON", () => {
    expect(check({ ...good, attributes: { a: [1, { b: "ü" }] } }).attributes).toBe('{"a":[1,{"b":"ü"}]}');
    expect(check({ ...good, attributes: {} }).attributes).toBe("{}");
  });

  test.each([
    [5, "'item' must be an object {key, vector, attributes?}"],
    [null, "'item' must be an object"],
    [{ vector: [1, 2, 3] }, "'key' must be a string"],
    [{ ...good, key: 5 }, "'key' must be a string"],
    [{ ...good, key: "" }, "'key' must be 1 to 1024 bytes, got 0"],
    [{ ...good, key: "\ud800" }, "'key' must be valid Unicode"],
    [{ ...good, atributes: {} }, "'atributes' is not a member of the item"],
    [{ ...good, attributes: [] }, "'attributes' must be a JSON object"],
    [{ ...good, attributes: null }, "'attributes' must be a JSON object"],
    [{ ...good, attributes: '{"a":1}' }, "'attributes' must be a JSON object"],
    [{ key: "k" }, "'vector' must be an array of numbers, or base64"],
    [{ key: "k", vector: { 0: 1 } }, "'vector' must be an array of numbers, or base64"],
    [{ key: "k", vector: [1, 2] }, "'vector' must have 3 elements, got 2"],
    [{ key: "k", vector: [1, "2", 3] }, "component 2 is of type string"],
    [{ key: "k", vector: [1, null, 3] }, "component 2 is null"],
    [{ key: "k", vector: [1, 2, 1e39] }, "component 3 is Infinity"],
    [{ key: "k", vector: [0, 0, 0] }, "must not be all zeros under COSINE"],
    [{ key: "k", vector: base64(1, 2) }, "'vector' must be 12 bytes (3 x float32), got 8"],
    [{ key: "k", vector: base64(1, 2, Number.NaN) }, "component 3 is NaN"],
    [{ key: "k", vector: base64(0, 0, 0) }, "must not be all zeros under COSINE"],
    [
      { key: "k", vector: base64(1, 2, 3).replace("A", "!") },
      "'vector' must be an array of numbers, or base64",
    ],
    [{ key: "k", vector: `${base64(1, 2, 3)}\n` }, "'vector' must be an array of numbers, or base64"],
    [{ key: "k", vector: base64(1, 2, 3).slice(0, -1) }, "'vector' must be an array of numbers, or base64"],
    [{ key: "k", vector: "" }, "'vector' must be 12 bytes (3 x float32), got 0"],
  ])("%j is refused: %s", (item, reason) => {
    expect(() => check(item)).toThrow(reason);
  });

  test("must be padded as base64 is, and not otherwise", () => {
    const text = base64(1, 2);
    expect(text.endsWith("=")).toBe(true);
    const two = { ...shape, dimensions: 2 };
    expect(checkItem({ key: "k", vector: text }, two).vector).toEqual(new Float32Array([1, 2]));
    for (const end of ["!", "", "=="]) {
      const item = { key: "k", vector: text.replace("=", end) };
      expect(() => checkItem(item, two)).toThrow("'vector' must be an array of numbers, or base64");
    }
  });

  test("has the limits of INSERT, in bytes", () => {
    const { keyBytesMax, attributesBytesMax } = limits;
    expect(check({ ...good, key: "ü".repeat(keyBytesMax / 2) }).key.length).toBe(keyBytesMax / 2);
    expect(() => check({ ...good, key: `a${"ü".repeat(keyBytesMax / 2)}` })).toThrow("got 1025");
    const text = (bytes: number) => ({ t: "x".repeat(bytes - '{"t":""}'.length) });
    expect(check({ ...good, attributes: text(attributesBytesMax) }).attributes).toHaveLength(
      attributesBytesMax,
    );
    expect(() => check({ ...good, attributes: text(attributesBytesMax + 1) })).toThrow("got 65537");
  });

  test("may be zero where there is no direction to be missed", () => {
    expect(checkItem({ key: "k", vector: [0, 0, 0] }, { ...shape, metric: "L2" }).vector).toHaveLength(3);
  });
});

type Plain = { key: string; vector: Float32Array; attributes: string | undefined };
const item = (key: string, value: number, attributes?: string): Plain => ({
  key,
  vector: new Float32Array([value]),
  attributes,
});

/** What a collection has after MINSERTs with these arguments. */
function apply(batches: ReturnType<typeof toBatches>): Map<string, [number, string | undefined]> {
  const state = new Map<string, [number, string | undefined]>();
  for (const { items, args } of batches) {
    const keys = args.slice(1, items + 1) as string[];
    const blob = args[items + 2] as Buffer;
    for (const [i, key] of keys.entries()) {
      const attributes =
        args[items + 3] === undefined ? state.get(key)?.[1] : (args[items + 4 + i] as string);
      state.set(key, [blob.readFloatLE(4 * i), attributes]);
    }
  }
  return state;
}

describe("batches", () => {
  test("have the items in order, and no more than allowed", () => {
    const items = Array.from({ length: 5 }, (_, i) => item(`k${i}`, i));
    const batches = toBatches(items, 2);
    expect(batches.map((each) => each.items)).toEqual([2, 2, 1]);
    expect(batches[0]!.args).toEqual([2, "k0", "k1", "FP32", fp32(0, 1)]);
  });

  test("are bounded in bytes too", () => {
    const large = (key: string) => ({ ...item(key, 1), vector: new Float32Array(1024 * 1024) });
    expect(toBatches([large("a"), large("b"), large("c")], 10).map((each) => each.items)).toEqual([1, 1, 1]);
    const fitting = (key: string) => ({ ...item(key, 1), vector: new Float32Array(1024 * 1024 - 1) });
    expect(toBatches([fitting("a"), fitting("b"), fitting("c")], 10).map((each) => each.items)).toEqual([
      2, 1,
    ]);
  });

  test("have the effect of one insert after the other, whichever items have attributes", () => {
    const random = generator(testSeed());
    for (let round = 0; round < 500; round++) {
      const items = Array.from({ length: 12 }, (_, i) =>
        item(`k${Math.floor(random() * 4)}`, i, random() < 0.5 ? `{"i":${i}}` : undefined),
      );
      const expected = new Map<string, [number, string | undefined]>();
      for (const { key, vector, attributes } of items) {
        expected.set(key, [vector[0]!, attributes ?? expected.get(key)?.[1]]);
      }
      expect(apply(toBatches(items, 5))).toEqual(expected);
    }
  });
});
