/**
 * A start reads no vectors. Each is compared with its checksum before it is handed out, and all of them in the
 * background: damage is found whether a read asks for it or not, and never handed on.
 */
import * as fs from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import type { Collection } from "../../src/engine/collection.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { damagesIn, flip, insert, key, vector } from "../harness/data-directory.ts";
import { temporaryDirectory } from "../harness/directory.ts";

/** Rows of 2 KiB, eight to a page: 30 in segment 0, 62 in segment 1, 8 in segment 2. */
const dimensions = 512;
const rows = 100;
const page = (number: number) => 4_096 + number * 16_384;
/** Slot 47 is row 17 of segment 1, in page 2. */
const damagedSlot = 47;
const damagedRow = 4_096 + 17 * 2_048;
const message = new RegExp(`c-docs/segment-000001.vec at byte ${page(2)}: the page of rows .* checksum`);

async function filled(): Promise<string> {
  const directory = temporaryDirectory();
  const catalog = await Catalog.open(directory, () => {}, testIndex);
  // In the order in which they are opened: nothing comes between the opening of the last one and the test.
  for (const name of ["also", "docs"])
    insert(await catalog.create(name, resolveOptions({ dimensions, metric: "L2" }), "0-1"), 0, rows);
  await catalog.close();
  return directory;
}

async function open(directory: string, warnings: string[] = []): Promise<Catalog> {
  const warn = (text: string, details?: object) => warnings.push(`${text} ${JSON.stringify(details)}`);
  const catalog = await Catalog.open(directory, warn, testIndex);
  return catalog;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

const unproved = (collection: Collection) => Number(collection.stats().unproved_bytes);

/** The collection is refused, the other one is served, and the files are as damaged as before. */
async function expectRefused(catalog: Catalog): Promise<void> {
  expect(() => catalog.get("docs")).toThrow(message);
  expect([catalog.find("docs"), catalog.names()]).toEqual([undefined, ["also", "docs"]]);
  expect(catalog.stats().damaged_collections).toBe(1);
  expect(catalog.get("also").get(key(damagedSlot))).toEqual(vector(damagedSlot));
  await catalog.close();
  expect((await damagesIn(catalog.directory)).map(({ file, offset }) => [file, offset])).toEqual([
    ["c-docs/segment-000001.vec", page(2)],
  ]);
}

test("a start reads no vectors; in the end all are compared", async () => {
  const directory = await filled();
  const catalog = await open(directory);
  const [also, docs] = [catalog.get("also"), catalog.get("docs")];
  expect(unproved(docs)).toBe(rows * 2_048);
  expect(docs.get(key(damagedSlot))).toEqual(vector(damagedSlot));
  expect(unproved(docs)).toBe(rows * 2_048 - 16_384);
  await until(() => unproved(also) + unproved(docs) === 0);
  insert(docs, rows, 2 * rows);
  await docs.checkpoint();
  expect(unproved(docs)).toBe(0);
  await catalog.close();
});

test("a read of a damaged vector is refused by name, and so is all that comes after it", async () => {
  const directory = await filled();
  flip(`${directory}/c-docs/segment-000001.vec`, damagedRow);
  const warnings: string[] = [];
  const catalog = await open(directory, warnings);
  const docs = catalog.get("docs");
  expect(docs.get(key(0))).toEqual(vector(0));
  expect(() => docs.get(key(damagedSlot))).toThrow(message);
  expect(() => docs.get(key(0))).toThrow(message);
  expect(() => docs.insert(key(0), vector(0))).toThrow(message);
  await expect(docs.getMany([key(0)], (row) => row)).rejects.toThrow(message);
  await expectRefused(catalog);
  expect(warnings).toEqual([expect.stringMatching(message)]);
});

test("damage that no read meets is found in the background", async () => {
  const directory = await filled();
  flip(`${directory}/c-docs/segment-000001.vec`, damagedRow);
  const catalog = await open(directory);
  await until(() => catalog.find("docs") === undefined);
  await expectRefused(catalog);
});

test("a search is refused whose result is damaged, and keys that are read together are too", async () => {
  for (const read of [
    (docs: Collection) => docs.search(vector(damagedSlot), { k: 1 }),
    (docs: Collection) => docs.search(vector(damagedSlot), { k: 3, exact: true }),
    (docs: Collection) => docs.getMany([key(3), key(damagedSlot)], (row) => row),
  ]) {
    const directory = await filled();
    flip(`${directory}/c-docs/segment-000001.vec`, damagedRow);
    const catalog = await open(directory);
    await expect(read(catalog.get("docs"))).rejects.toThrow(message);
    await expectRefused(catalog);
  }
});

test("neither index nor compaction takes over a damaged vector", async () => {
  for (const work of [(docs: Collection) => docs.build(), (docs: Collection) => docs.compact()]) {
    const directory = await filled();
    flip(`${directory}/c-docs/segment-000001.vec`, damagedRow);
    const catalog = await open(directory);
    // It fails by itself, or ends because the background was faster.
    await work(catalog.get("docs")).catch((error: Error) =>
      expect(error.message).toMatch(/segment-000001|stopped/),
    );
    await until(() => catalog.find("docs") === undefined);
    await expectRefused(catalog);
    expect(fs.existsSync(`${directory}/c-docs/generation-1`)).toBe(false);
  }
});

test("checkpoints go on with a damaged page that is not full, and the damage is found after them", async () => {
  const directory = await filled();
  flip(`${directory}/c-docs/segment-000002.vec`, 4_096 + 3 * 2_048);
  const at = new RegExp(`segment-000002.vec at byte ${page(0)}`);
  const catalog = await open(directory);
  const docs = catalog.get("docs");
  insert(docs, rows, rows + 5);
  await docs.checkpoint();
  await until(() => catalog.find("docs") === undefined);
  expect(() => catalog.get("docs")).toThrow(at);
  await catalog.close();
  expect((await damagesIn(directory)).map(({ file, offset }) => [file, offset])).toEqual([
    ["c-docs/segment-000002.vec", page(0)],
  ]);
  const again = await open(directory);
  expect(again.get("docs").rows).toBe(rows + 5);
  await until(() => again.find("docs") === undefined);
  expect(() => again.get("docs")).toThrow(at);
  await again.close();
});
