/** Checksums of pages: of full ones in a file that only grows, of the one that is not full in the manifest. */
import * as fs from "node:fs";
import { expect, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { Collection } from "../../src/engine/collection.ts";
import { crc32 } from "../../src/engine/disk/checksum.ts";
import { countedSegments } from "../../src/engine/disk/inventory.ts";
import { PAGE_BYTES, SEGMENT_HEADER } from "../../src/engine/disk/layout.ts";
import { type Manifest, readManifest, writeManifest } from "../../src/engine/disk/manifest.ts";
import { manifestFault } from "../../src/engine/disk/manifest-check.ts";
import { loadPageChecksums } from "../../src/engine/disk/pages/load-checksums.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const key = (i: number) => Buffer.from(`key ${i}`);

async function created(dimensions: number): Promise<string> {
  const directory = temporaryDirectory();
  await createFiles(directory, "c", resolveOptions({ dimensions, metric: "L2" }), "0-0");
  return directory;
}

async function insert(store: Collection, count: number, random: () => number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await store.reserve(1);
    store.insert(key(store.rows), randomVector(random, store.options.dimensions));
  }
}

/** By the rows themselves. */
function expectedOf(directory: string, manifest: Manifest): number[][] {
  return countedSegments(manifest).map(({ file, bytes }) => {
    const rows = fs.readFileSync(`${directory}/${file}`).subarray(SEGMENT_HEADER.bytes, bytes);
    const pages = Array.from({ length: Math.ceil(rows.length / PAGE_BYTES) }, (_, page) => page * PAGE_BYTES);
    return pages.map((at) => crc32(rows, at, Math.min(at + PAGE_BYTES, rows.length)));
  });
}

async function found(directory: string, manifest: Manifest, warnings: string[] = []) {
  const checksums = await loadPageChecksums(directory, manifest, (text) => warnings.push(text));
  return checksums?.map((each) => [...each]);
}

async function expectRight(directory: string): Promise<Manifest> {
  const manifest = await readManifest(directory);
  expect(manifestFault(manifest, "c")).toBeUndefined();
  expect(await found(directory, manifest)).toEqual(expectedOf(directory, manifest));
  return manifest;
}

test.each([3, 100, 4_096, 5_000])(
  "%i dimensions: right after every checkpoint and restart",
  async (dimensions) => {
    const random = generator(testSeed());
    const directory = await created(dimensions);
    let saved = Buffer.alloc(0);
    for (let round = 0; round < 12; round++) {
      const store = await Collection.open(directory, (text) => expect.fail(text));
      await insert(store, Math.floor((random() * 400_000) / dimensions / 4), random);
      await store.checkpoint();
      const { pages } = await expectRight(directory);
      const now = fs.readFileSync(`${directory}/pages.crc`);
      // It only grows.
      expect(now.subarray(0, saved.length).equals(saved)).toBe(true);
      expect(now.length).toBe(pages!.bytes);
      saved = now;
      await insert(store, Math.floor(random() * 10), random);
      if (random() < 0.5) await store.close();
      else await store.abandon(); // what came after the checkpoint is written again, with other vectors
    }
    await expectRight(directory);
  },
);

test.each<[string, (path: string) => void]>([
  ["missing", (path) => fs.rmSync(path)],
  ["cut short", (path) => fs.truncateSync(path, 30)],
  ["damaged", (path) => fs.writeFileSync(path, fs.readFileSync(path).fill(7, 20, 24))],
  ["another file", (path) => fs.copyFileSync(path.replace("pages.crc", "keys.log"), path)],
])("a file that is %s is told of, and made again by the next checkpoint", async (_, damage) => {
  const directory = await created(100);
  const store = await Collection.open(directory, () => {});
  await insert(store, 500, generator(testSeed()));
  await store.close();
  damage(`${directory}/pages.crc`);
  const warnings: string[] = [];
  const again = await Collection.open(directory, (text) => warnings.push(text));
  expect(warnings).toEqual([expect.stringContaining("checksums of pages")]);
  expect(again.isCovered).toBe(false);
  await again.close();
  await expectRight(directory);
});

test("files of a version without them are read whole, and get them with the next checkpoint", async () => {
  const directory = await created(100);
  const store = await Collection.open(directory, () => {});
  await insert(store, 500, generator(testSeed()));
  await store.close();
  const { pages: _, ...older } = await readManifest(directory);
  await writeManifest(directory, older);
  fs.rmSync(`${directory}/pages.crc`);
  const again = await Collection.open(directory, (text) => expect.fail(text));
  await insert(again, 5, generator(1));
  await again.close();
  expect((await expectRight(directory)).slots).toBe(505);
});

test("a manifest that counts another number of pages makes no sense", async () => {
  const directory = await created(100);
  const store = await Collection.open(directory, () => {});
  await insert(store, 500, generator(testSeed()));
  await store.close();
  const manifest = await readManifest(directory);
  const pages = { ...manifest.pages!, bytes: manifest.pages!.bytes - 4 };
  expect(manifestFault({ ...manifest, pages }, "c")).toMatch(/bytes of checksums of pages, expected/);
});
