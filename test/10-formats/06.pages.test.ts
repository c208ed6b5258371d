/** Checksums of pages: of full ones in a file that only grows, of the one that is not full in the manifest. */
import * as fs from "node:fs";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
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

/** A power cut may leave one file as of one checkpoint and the others as of another, where a disk lies about a sync. */
describe("after two checkpoints", () => {
  type Files = Readonly<Record<string, Buffer>>;
  let directory: string;
  let [first, second]: Files[] = [];
  let vectors: Float32Array[];

  beforeEach(async () => {
    directory = await created(100);
    const random = generator(testSeed());
    [first, second] = [await filled(random), await filled(random)];
  });

  async function filled(random: () => number) {
    const store = await Collection.open(directory, (text) => expect.fail(text));
    await insert(store, 300, random);
    await store.checkpoint();
    vectors = Array.from({ length: store.rows }, (_, i) => store.get(key(i))!.slice());
    await store.abandon();
    const names = fs.readdirSync(directory);
    return Object.fromEntries(names.map((name) => [name, fs.readFileSync(`${directory}/${name}`)]));
  }

  /** Opens what is left: all that counts is there, or is told to be damaged. */
  async function open(files: Files, warned: RegExp[]): Promise<Collection> {
    for (const [name, bytes] of Object.entries(files)) fs.writeFileSync(`${directory}/${name}`, bytes);
    const warnings: string[] = [];
    const store = await Collection.open(directory, (text) => warnings.push(text));
    onTestFinished(() => store.abandon());
    expect(warnings).toEqual(warned.map((text) => expect.stringMatching(text)));
    return store;
  }

  /** What a power cut leaves of a file that has grown: its new length, and nothing of what was appended. */
  const grown = () => Buffer.concat([first!["pages.crc"]!], second!["pages.crc"]!.length);

  test.each<[string, () => Files, RegExp[]]>([
    ["older", () => ({ "pages.crc": first!["pages.crc"]! }), [/checksums of pages/]],
    ["as long, without what was appended", () => ({ "pages.crc": grown() }), [/checksums of pages/]],
    ["empty", () => ({ "pages.crc": Buffer.alloc(0) }), [/checksums of pages/]],
    ["newer than all else", () => ({ ...first!, "pages.crc": second!["pages.crc"]! }), []],
    ["and the rows newer than the manifest", () => ({ "MANIFEST.json": first!["MANIFEST.json"]! }), []],
  ])("checksums that are %s cost no vector, and are whole again", async (_, files, warned) => {
    const store = await open(files(), warned);
    expect([300, 600]).toContain(store.rows);
    for (let i = 0; i < store.rows; i++) expect(store.get(key(i))).toEqual(vectors[i]);
    await insert(store, 100, generator(1));
    await store.checkpoint();
    await expectRight(directory);
  });

  /** The segments as of the first checkpoint, all else as of the second. */
  const olderRows = () =>
    Object.fromEntries(Object.entries(first!).filter(([name]) => name.startsWith("segment-")));

  test("rows that are older are told of when they are read", async () => {
    const store = await open(olderRows(), []);
    let damaged = 0;
    for (const [i, vector] of vectors.entries()) {
      try {
        expect(store.get(key(i))).toEqual(vector);
      } catch (error) {
        expect(String(error)).toMatch(/segment-.*the page of rows.*checksum/);
        damaged++;
      }
    }
    expect(damaged).toBeGreaterThan(0);
  });

  test("rows and checksums of pages that are both older are told of at the start", async () => {
    const files = { ...olderRows(), "pages.crc": first!["pages.crc"]! };
    await expect(open(files, [])).rejects.toThrow(/segment-.*checksum/);
  });
});
