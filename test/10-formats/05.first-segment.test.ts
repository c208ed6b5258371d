/**
 * The size of a collection's first segment: small in a new collection, whose manifest says so in its version, and 1 MiB
 * in one whose manifest does not.
 */
import * as fs from "node:fs";
import { expect, test } from "vitest";
import { Catalog } from "../../src/engine/catalog.ts";
import { readManifest, unseal, writeManifest } from "../../src/engine/disk/manifest.ts";
import { createEmptyFiles } from "../../src/engine/generation/recovery.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { damagesOf, verify } from "../../src/engine/tools/verify.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const options = resolveOptions({ dimensions: 64, metric: "L2" });
const vector = (i: number) => new Float32Array(64).fill(i);

/** A data directory with a collection as version 1 of the manifest has it. */
async function older(): Promise<string> {
  const directory = temporaryDirectory();
  const files = `${directory}/c-docs`;
  fs.mkdirSync(files);
  const fixed = { name: "docs", createdId: "1-0", appliedId: "1-0", options, generation: 0 };
  const { pages: _, ...contents } = await createEmptyFiles(files);
  fs.rmSync(`${files}/pages.crc`);
  await writeManifest(files, { ...fixed, ...contents });
  expect(version(files)).toBe(1);
  return directory;
}

const sizes = (directory: string) =>
  fs
    .readdirSync(directory)
    .filter((name) => name.endsWith(".vec"))
    .map((name) => fs.statSync(`${directory}/${name}`).size);

const version = (directory: string) =>
  JSON.parse(fs.readFileSync(`${directory}/MANIFEST.json`, "utf8")).version as number;

async function insert(directory: string, from: number, to: number): Promise<void> {
  const catalog = await Catalog.open(directory);
  const docs = catalog.get("docs");
  for (let i = from; i < to; i++) docs.insert(Buffer.from(`k${i}`), vector(i));
  await catalog.close();
}

async function expectAll(directory: string, count: number): Promise<void> {
  const catalog = await Catalog.open(directory);
  const docs = catalog.get("docs");
  for (let i = 0; i < count; i++) expect(docs.get(Buffer.from(`k${i}`))).toEqual(vector(i));
  await catalog.close();
  expect(damagesOf(await verify(directory, () => {}))).toEqual([]);
}

test("a collection of version 1 begins with 1 MiB, and gets checksums of pages with its next checkpoint", async () => {
  const directory = await older();
  await insert(directory, 0, 100);
  await insert(directory, 100, 5_000);
  expect(sizes(`${directory}/c-docs`)).toEqual([1 << 20, 1 << 21]);
  expect(version(`${directory}/c-docs`)).toBe(3);
  await expectAll(directory, 5_000);
  const catalog = await Catalog.open(directory);
  catalog.get("docs").delete([Buffer.from("k4999")]);
  await catalog.get("docs").compact();
  await catalog.close();
  await expectAll(directory, 4_999);
});

test("a new collection begins with 64 KiB, and a vstore of version 1 refuses it by its version", async () => {
  const directory = temporaryDirectory();
  const catalog = await Catalog.open(directory);
  await catalog.create("docs", options, "1-0");
  await catalog.close();
  await insert(directory, 0, 20);
  expect(sizes(`${directory}/c-docs`)).toEqual([1 << 16]);
  await insert(directory, 20, 1_000);
  expect(sizes(`${directory}/c-docs`)).toEqual([1 << 16, 1 << 17, 1 << 18]);
  await expectAll(directory, 1_000);
  const path = `${directory}/c-docs/MANIFEST.json`;
  expect(() => unseal(path, "vstore-collection", fs.readFileSync(path, "utf8"))).toThrow(
    "format version 3, this vstore reads 1",
  );
  expect((await readManifest(`${directory}/c-docs`)).firstSegmentBytes).toBe(1 << 16);
});
