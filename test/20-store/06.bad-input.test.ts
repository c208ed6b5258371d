/** The library refuses bad input with an error that names the argument, and nothing has changed then. */
import { expect, test } from "vitest";
import { type CollectionOptions, MmapVectorStore } from "../../src/index.ts";
import { limits } from "../../src/limits.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const good = new Float32Array([1, 2, 3]);

async function opened(options: Partial<CollectionOptions> = {}): Promise<MmapVectorStore> {
  const store = await MmapVectorStore.open(temporaryDirectory(), { dimensions: 3, ...options });
  store.insert("there", good);
  return store;
}

test.each<[string, (store: MmapVectorStore) => unknown, RegExp]>([
  ["too few components", (s) => s.insert("k", new Float32Array(2)), /'vector' must have 3 components, got 2/],
  [
    "too many components",
    (s) => s.insert("k", new Float32Array(4)),
    /'vector' must have 3 components, got 4/,
  ],
  ["NaN", (s) => s.insert("k", new Float32Array([1, Number.NaN, 3])), /'vector' .* component 2 is NaN/],
  ["infinity", (s) => s.insert("k", new Float32Array([1, 2, -Infinity])), /component 3 is -Infinity/],
  ["a zero vector", (s) => s.insert("k", new Float32Array(3)), /'vector' .* zeros under COSINE/],
  ["an empty key", (s) => s.insert("", good), /'key' must be 1 to 1024 bytes, got 0/],
  ["a long key", (s) => s.insert("k".repeat(1_025), good), /'key' .* got 1025/],
  [
    "long attributes",
    (s) => s.insert("k", good, { attributes: `{}${" ".repeat(65_535)}` }),
    /'attributes' .* 65537/,
  ],
  [
    "a batch of the wrong size",
    (s) => s.insertBatch(["a", "b"], good),
    /'vectors' must have 6 elements, got 3/,
  ],
  [
    "a batch with one bad row",
    (s) => s.insertBatch(["a", "b"], new Float32Array([1, 2, 3, 0, 0, 0])),
    /'vector 2'/,
  ],
  [
    "a batch with one bad key",
    (s) => s.insertBatch(["a", ""], new Float32Array([1, 2, 3, 4, 5, 6])),
    /'key'/,
  ],
])("insert refuses %s", async (_, insert, message) => {
  const store = await opened();
  expect(() => insert(store)).toThrow(message);
  expect(() => insert(store)).toThrow(expect.objectContaining({ code: "ERR" }));
  expect([...store.keys()]).toEqual(["there"]);
  await store.close();
});

test("the limits themselves are accepted", async () => {
  const store = await opened({ metric: "L2" });
  expect(
    store.insert("k".repeat(limits.keyBytesMax), good, {
      attributes: "{}".padEnd(limits.attributesBytesMax),
    }),
  ).toBe(true);
  expect(store.insert(new Uint8Array([0]), new Float32Array(3))).toBe(true);
  expect(store.insert("\0 \r\n", new Float32Array([3.4e38, -3.4e38, 1e-45]))).toBe(true);
  const keys = ["there", "k".repeat(1_024), "\0", "\0 \r\n"];
  expect([...store.keys()].sort()).toEqual(keys.sort());
  await store.close();
});

test.each<[Partial<CollectionOptions>, RegExp]>([
  [{ dimensions: 0 }, /'dimensions' must be an integer from 1 to 16384, got 0/],
  [{ dimensions: 16_385 }, /'dimensions'/],
  [{ dimensions: 1.5 }, /'dimensions'/],
  [{ dimensions: 3, M: 3 }, /'M' must be an integer from 4 to 128, got 3/],
  [{ dimensions: 3, M: 129 }, /'M'/],
  [{ dimensions: 3, ef: 0 }, /'ef'/],
  [{ dimensions: 3, ef: 10_001 }, /'ef'/],
  [{ dimensions: 3, efConstruction: 5_000 }, /'efConstruction'/],
  [{ dimensions: 3, metric: "cosine" as never }, /'metric' must be COSINE, L2 or IP/],
  [{}, /'dimensions' is required/],
])("a store is not created with %j", async (options, message) => {
  await expect(MmapVectorStore.open(temporaryDirectory(), options)).rejects.toThrow(message);
});

test("a search refuses what an insert would, and a k below one", async () => {
  const store = await opened();
  await expect(store.search(new Float32Array(2), { k: 1 })).rejects.toThrow(/'vector' must have 3/);
  await expect(store.search(new Float32Array(3), { k: 1 })).rejects.toThrow(/zeros/);
  await expect(store.search(good, { k: 0 })).rejects.toThrow(/'k' must be an integer from 1 to 10000, got 0/);
  await store.close();
});

test("a store cannot be opened twice, with other options, or used when closed", async () => {
  const directory = temporaryDirectory();
  const store = await MmapVectorStore.open(directory, { dimensions: 3 });
  await expect(MmapVectorStore.open(directory)).rejects.toMatchObject({
    code: "LOCKED",
    message: expect.stringContaining(`process ${process.pid}`),
  });
  await store.close();
  await store.close();
  expect(() => store.insert("a", good)).toThrow(/closed/);
  await expect(store.search(good, { k: 1 })).rejects.toThrow(/closed/);
  await expect(MmapVectorStore.open(directory, { dimensions: 4 })).rejects.toThrow(/'dimensions' is 3/);
  await (await MmapVectorStore.open(directory, { dimensions: 3 })).close();
});
