/** `inspect` shows what is in the files, also while a sidecar writes to them, and whatever has happened to them. */
import * as fs from "node:fs";
import { expect, test } from "vitest";
import { Catalog } from "../../src/engine/catalog.ts";
import { inspect } from "../../src/engine/tools/inspect.ts";
import { filledDirectory, fingerprint, flip, insert, key, vector } from "../harness/data-directory.ts";

const keysOf = (found: Awaited<ReturnType<typeof inspect>>[number]) =>
  found.keys.map((each) => ({ ...each, key: Buffer.from(each.key).toString() }));

test("collections, counts, ids, files; nothing is changed", async () => {
  const directory = await filledDirectory();
  const before = fingerprint(directory);
  const [docs, small] = await inspect(directory, 0);
  expect(docs!.manifest).toMatchObject({
    name: "docs",
    slots: 901,
    live: 898,
    appliedId: "900-0",
    createdId: "0-1",
  });
  expect(docs!.manifest!.options).toMatchObject({ dimensions: 512, metric: "L2", M: 4 });
  expect(docs!.files.map(({ file, rows, capacity }) => [file, rows, capacity])).toEqual([
    ["columns-1.col", undefined, undefined],
    ["index-1.hnsw", undefined, undefined],
    ["segment-000000.vec", 30, 30],
    ["segment-000001.vec", 62, 62],
    ["segment-000002.vec", 126, 126],
    ["segment-000003.vec", 254, 254],
    ["segment-000004.vec", 429, 510],
    ["pages.crc", undefined, undefined],
    ["keys.log", undefined, undefined],
    ["attributes.log", undefined, undefined],
  ]);
  expect(docs!.files.every(({ bytesCounted, bytesOnDisk }) => bytesCounted <= bytesOnDisk!)).toBe(true);
  expect(small!.manifest!.name).toBe("small");
  expect([docs!.keys, docs!.faults]).toEqual([[], []]);
  expect(fingerprint(directory)).toEqual(before);
});

test("the first keys that are alive, with slot, first components and latest attributes", async () => {
  const directory = await filledDirectory();
  const [docs] = await inspect(directory, 7);
  expect(keysOf(docs!).map(({ key, slot }) => [key, slot])).toEqual(
    [0, 1, 2, 3, 4, 8, 9].map((i) => [`key ${i}`, i]),
  );
  expect(keysOf(docs!)[3]).toEqual({
    key: "key 3",
    slot: 3,
    vector: Array(6).fill(4),
    attributes: '{"i":3}',
    deadline: undefined,
  });
  expect(keysOf(docs!)[4]!.attributes).toBeUndefined();
  const all = keysOf((await inspect(directory, 10_000))[0]!);
  expect(all).toHaveLength(898);
  // Updated: its new slot is the last, in the second segment.
  expect(all.at(-1)).toMatchObject({ key: "key 5", slot: 900, vector: Array(6).fill(5_001) });
});

test("a directory that is being written shows its last checkpoint", async () => {
  const directory = await filledDirectory();
  const catalog = await Catalog.open(directory);
  const docs = catalog.get("docs");
  docs.delete([key(0)]);
  docs.insert(key(1), vector(7));
  const shown = async () => keysOf((await inspect(directory, 1))[0]!)[0]!.key;
  expect(await shown()).toBe("key 0");
  await docs.checkpoint();
  expect(await shown()).toBe("key 2");
  insert(docs, 2_000, 2_100);
  expect((await inspect(directory, 0))[0]!.manifest!.slots).toBe(902);
  await catalog.close();
});

test("when keys expire", async () => {
  const directory = await filledDirectory();
  const catalog = await Catalog.open(directory);
  const { lifetimes } = catalog.get("docs");
  for (const i of [0, 1]) lifetimes.expire(key(i), 60_000_000_000_000 + i);
  lifetimes.persist(key(1));
  await catalog.close();
  const [docs] = await inspect(directory, 3);
  expect(docs!.keys.map(({ deadline }) => deadline)).toEqual([60_000_000_000_000, undefined, undefined]);
});

test("what is damaged is passed over and said, the rest is shown", async () => {
  const directory = await filledDirectory();
  flip(`${directory}/c-docs/keys.log`, 16 + 13);
  fs.rmSync(`${directory}/c-docs/index-1.hnsw`);
  flip(`${directory}/c-small/MANIFEST.json`, 30);
  const [docs, small] = await inspect(directory, 1);
  expect(keysOf(docs!)[0]!.key).toBe("key 1");
  expect(docs!.files[1]).toMatchObject({ file: "index-1.hnsw", bytesOnDisk: undefined });
  expect(small).toMatchObject({ manifest: undefined, files: [], keys: [] });
  expect(small!.faults).toEqual([expect.stringMatching(/^c-small\/MANIFEST.json at byte 0: /)]);
  fs.rmSync(`${directory}/c-docs/segment-000000.vec`);
  expect((await inspect(directory, 1))[0]!.faults).toEqual([expect.stringContaining("the file is missing")]);
});

test("what is no data directory is an error", async () => {
  await expect(inspect("/proc/self/fd", 0)).rejects.toMatchObject({ code: "ERR" });
  await expect(inspect("/nonexistent", 0)).rejects.toMatchObject({ code: "ERR" });
});
