/** What a caller of MmapVectorStore may get wrong: each is an error that names it, and leaves nothing behind. */
import * as fs from "node:fs";
import { expect, expectTypeOf, test } from "vitest";
import { Catalog } from "../../src/engine/catalog.ts";
import type { InsertOptions, Metric, SearchOptions, SearchResult } from "../../src/index.ts";
import { DamagedFileError, type ErrorCode, MmapVectorStore, VstoreError } from "../../src/index.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const axis = new Float32Array([1, 0]);

/** As a JavaScript caller may do it, without types. */
const loosely = <T>(store: T) => store as { [Name in keyof T]: (...args: unknown[]) => unknown };

async function opened(): Promise<MmapVectorStore> {
  return MmapVectorStore.open(`${temporaryDirectory()}/store`, { dimensions: 2 });
}

test.each([
  [{}, "'dimensions' is required"],
  [{ dimensions: 0 }, "'dimensions' must be an integer"],
  [{ dimensions: 2, metric: "EUCLID" }, "'metric' must be COSINE, L2 or IP, got EUCLID"],
  [{ dimension: 2 }, "unknown option 'dimension', did you mean 'dimensions'?"],
  [{ dimensions: 2, colour: 1 }, "unknown option 'colour'; there are dimensions, metric"],
  [null, "'options' must be an object, got null"],
])("open with %j is refused and makes no directory", async (options, message) => {
  const directory = `${temporaryDirectory()}/deep/store`;
  await expect(MmapVectorStore.open(directory, options as object)).rejects.toThrow(message);
  expect(fs.existsSync(`${directory}/..`)).toBe(false);
});

test("calls without an argument, or with a wrong one, name it", async () => {
  const store = await opened();
  const { insert, insertBatch, getSlice, setAttributes, reserve } = loosely(store);
  const call =
    (method: (...args: unknown[]) => unknown, ...args: unknown[]) =>
    () =>
      method.apply(store, args);
  expect(call(insert)).toThrow("'vector' must be a Float32Array, got nothing");
  expect(call(insert, undefined, axis)).toThrow("'key' must be a string or a Uint8Array, got nothing");
  expect(call(insert, "a", [1, 0])).toThrow("'vector' must be a Float32Array, got Array");
  expect(call(insert, "a", new Float64Array([1e300, 1]))).toThrow("got Float64Array");
  expect(call(insert, "a", axis, { mode: "nx" })).toThrow("'mode' must be NX or XX, got nx");
  expect(call(insert, "a", axis, { attributes: { a: 1 } })).toThrow(
    "'attributes' must be a string, got Object",
  );
  expect(call(insert, "a", axis, { attributes: "[1]" })).toThrow("'attributes' must be the JSON text");
  expect(call(insert, "a", axis, { mod: "NX" })).toThrow("unknown option 'mod', did you mean 'mode'?");
  for (const rows of [undefined, -1, Number.NaN, 1e15])
    await expect(call(reserve, rows)()).rejects.toThrow("'rows' must be from 1 to ");
  expect(call(insertBatch)).toThrow("'keys' must be an array, got nothing");
  expect(call(insertBatch, ["a"], [1, 2])).toThrow("'vectors' must be a Float32Array, got Array");
  expect(call(insertBatch, [7], axis)).toThrow("'key' must be a string or a Uint8Array, got number");
  expect(call(getSlice)).toThrow("'key'");
  expect(call(setAttributes, "a")).toThrow("'attributes' must be a string, got nothing");
  expect(store.length).toBe(0);
  await store.close();
});

test("searches with a wrong argument name it", async () => {
  const store = await opened();
  const search = (...args: unknown[]) => loosely(store).search(...args) as Promise<unknown>;
  await expect(search()).rejects.toThrow("'query' must be a Float32Array, got nothing");
  await expect(search(axis)).rejects.toThrow("'options' must be an object, got nothing");
  await expect(search(axis, {})).rejects.toThrow("'k' must be an integer from 1 to");
  for (const [options, name] of [
    [{ ef: 0 }, "ef"],
    [{ within: Number.NaN }, "within"],
    [{ exact: "no" }, "exact"],
    [{ withAttributes: 1 }, "withAttributes"],
    [{ distinct: "genre" }, "distinct.field"],
    [{ distinct: { field: "genre", per: 0 } }, "distinct.per"],
  ] as const) {
    const error = {
      constructor: VstoreError,
      code: "ERR",
      message: expect.stringContaining(`'${name}' must be`),
    };
    await expect(search(axis, { k: 1, ...options })).rejects.toMatchObject(error);
  }
  await expect(search(axis, { k: 1, exakt: true })).rejects.toThrow("did you mean 'exact'?");
  await expect(search(axis, { k: 1, count: 3 })).rejects.toThrow("unknown option 'count'");
  await store.close();
});

test("attributes come back by key and with results, and go", async () => {
  const store = await opened();
  store.insert("a", axis, { attributes: '{"n":1}' });
  store.insert("b", new Float32Array([0, 1]));
  expect(store.getAttributes("a")).toBe('{"n":1}');
  expect(store.getAttributes("b")).toBeUndefined();
  const found = await store.search(axis, { k: 2, withAttributes: true });
  expect(found.map(({ key, attributes }) => [key, attributes])).toEqual([
    ["a", '{"n":1}'],
    ["b", undefined],
  ]);
  expect((await store.search(axis, { k: 1 }))[0]).not.toHaveProperty("attributes");
  expect(store.setAttributes("a", "")).toBe(true);
  expect(store.getAttributes("a")).toBeUndefined();
  expect(store.setAttributes("c", "{}")).toBe(false);
  await store.close();
});

test("a store and a data directory are never taken for each other", async () => {
  const [data, store] = [temporaryDirectory(), `${temporaryDirectory()}/store`];
  await (await Catalog.open(data)).close();
  fs.mkdirSync(`${data}/c-docs`);
  await expect(MmapVectorStore.open(data, { dimensions: 2 })).rejects.toThrow("data directory of a sidecar");
  await (await MmapVectorStore.open(store, { dimensions: 2 })).close();
  await expect(Catalog.open(store)).rejects.toThrow("is a store of the library");
  expect(fs.existsSync(`${store}/vstore.json`)).toBe(false);
});

test("what the package exports has the types that it promises", async () => {
  const store = await opened();
  expectTypeOf(store.insert).returns.toEqualTypeOf<boolean | null>();
  expectTypeOf(store.getSlice).returns.toEqualTypeOf<Float32Array | undefined>();
  expectTypeOf(store.search).returns.resolves.toEqualTypeOf<SearchResult[]>();
  expectTypeOf<SearchOptions>().toHaveProperty("k").toEqualTypeOf<number>();
  expectTypeOf<InsertOptions["mode"]>().toEqualTypeOf<"NX" | "XX" | undefined>();
  expectTypeOf(store.metric).toEqualTypeOf<Metric>();
  expectTypeOf<DamagedFileError>().toExtend<VstoreError>();
  expectTypeOf<VstoreError["code"]>().toEqualTypeOf<ErrorCode>();
  expect(new DamagedFileError("f", 1, "x")).toBeInstanceOf(VstoreError);
  await store.close();
});
