/** A collection whose index is mapped from its file at opening, and is damaged, grows, and is saved again. */
import * as fs from "node:fs";
import { expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { Collection } from "../../src/engine/collection.ts";
import { isIndexFile } from "../../src/engine/disk/names.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const random = generator(testSeed());
const DIMENSIONS = 4;
/** More than a chunk of the native graph. */
const VECTORS = 18_000;
const key = (i: number) => Buffer.from(`key ${i}`);
const vectors = Array.from({ length: VECTORS }, () => randomVector(random, DIMENSIONS));

const open = (directory: string, warnings: string[] = []) =>
  Collection.open(directory, (message) => warnings.push(message), testIndex);

async function filled(order = vectors): Promise<string> {
  const directory = temporaryDirectory();
  const options = resolveOptions({ dimensions: DIMENSIONS, metric: "L2", M: 4, efConstruction: 8 });
  await createFiles(directory, "c", options, "0-0");
  const store = await open(directory);
  for (let i = 0; i < VECTORS; i++) store.insert(key(i), order[i]!);
  store.appliedId = "1-0";
  await store.build();
  await store.close();
  return directory;
}

async function expectFindsThemselves(store: Collection, from = 0): Promise<void> {
  for (let i = from; i < VECTORS; i += 601) {
    const [found] = await store.search(vectors[i]!, { k: 1 });
    expect(Buffer.from(found!.key).toString()).toBe(`key ${i}`);
  }
}

const indexOf = (directory: string) =>
  `${directory}/${fs.readdirSync(directory).find((name) => isIndexFile(name))}`;

test("a damaged index is built again while all vectors are found, and saved under a new name", async () => {
  const directory = await filled();
  const path = indexOf(directory);
  const bytes = fs.readFileSync(path);
  // In the codes: the graph begins its chunks at 64 KiB.
  bytes[(1 << 16) + 100_000]! ^= 8;
  fs.writeFileSync(path, bytes);
  const warnings: string[] = [];
  const store = await open(directory, warnings);
  await expectFindsThemselves(store);
  await expect.poll(() => warnings.join(), { timeout: 30_000 }).toContain("built again");
  await store.build();
  expect(store.stats().indexed_slots).toBe(VECTORS);
  await expectFindsThemselves(store);
  await store.close();
  const again: string[] = [];
  const reopened = await open(directory, again);
  await reopened.build();
  await expectFindsThemselves(reopened);
  expect(again).toEqual([]);
  await reopened.close();
});

test("an index that is whole but another one is built again", async () => {
  const directory = await filled();
  const other = await filled([...vectors].reverse());
  const bytes = fs.readFileSync(indexOf(other));
  fs.writeFileSync(indexOf(directory), bytes);
  const warnings: string[] = [];
  const store = await open(directory, warnings);
  expect(warnings.join()).toContain("built again");
  await expectFindsThemselves(store);
  await store.close();
});

test("it can be closed before its index was read, and keeps it", async () => {
  const directory = await filled();
  const path = indexOf(directory);
  for (let round = 0; round < 3; round++) {
    const store = await open(directory);
    store.insert(key(0), vectors[0]!);
    store.appliedId = `${round + 2}-0`;
    await expectFindsThemselves(store);
    await store.close();
  }
  expect(indexOf(directory)).toBe(path);
  const warnings: string[] = [];
  const store = await open(directory, warnings);
  await expectFindsThemselves(store);
  for (let i = 1; i < 3_000; i++) {
    store.delete([key(i)]);
    if (i % 2 === 0) store.insert(key(i), vectors[i]!);
  }
  store.appliedId = "9-0";
  await store.build();
  await expectFindsThemselves(store, 3_000);
  expect(warnings).toEqual([]);
  await store.close();
});
