import * as fs from "node:fs";
import { expect, test } from "vitest";
import { checksumText, crc32 } from "../../src/engine/disk/checksum.ts";
import { readManifest } from "../../src/engine/disk/manifest.ts";
import * as names from "../../src/engine/disk/names.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

async function created() {
  const directory = temporaryDirectory();
  const options = resolveOptions({ dimensions: 3, metric: "IP", ef: 77 });
  await createFiles(directory, "docs", options, "5-1");
  return { directory, path: `${directory}/${names.MANIFEST_FILE}`, options };
}

function rewrite(path: string, change: (body: Record<string, unknown>) => void, reseal: boolean): void {
  const { checksum, ...body } = JSON.parse(fs.readFileSync(path, "utf8"));
  change(body);
  const sum = reseal ? checksumText(crc32(Buffer.from(JSON.stringify(body)))) : checksum;
  fs.writeFileSync(path, JSON.stringify({ ...body, checksum: sum }));
}

test("a manifest reads back what was written", async () => {
  const { directory, options } = await created();
  expect(await readManifest(directory)).toMatchObject({
    name: "docs",
    createdId: "5-1",
    appliedId: "5-1",
    options,
    slots: 0,
    segments: [],
    index: null,
  });
});

test.each<[string, (path: string) => void, RegExp]>([
  ["missing", (path) => fs.rmSync(path), /missing/],
  ["empty", (path) => fs.truncateSync(path, 0), /not a JSON object/],
  ["cut short", (path) => fs.truncateSync(path, 100), /not a JSON object/],
  ["not an object", (path) => fs.writeFileSync(path, "[1"), /not a JSON object/],
  [
    "of another format",
    (path) => rewrite(path, (body) => (body.format = "x"), true),
    /not a vstore-collection/,
  ],
  ["of a later version", (path) => rewrite(path, (body) => (body.version = 9), true), /version 9/],
  ["changed by hand", (path) => rewrite(path, (body) => (body.slots = 12), false), /checksum/],
])("a manifest that is %s is refused", async (_, damage, message) => {
  const { directory, path } = await created();
  damage(path);
  await expect(readManifest(directory)).rejects.toThrow(message);
  await expect(readManifest(directory)).rejects.toMatchObject({ code: "DAMAGED", path });
});

test("a collection's directory is never a path its user chose", () => {
  for (const name of ["docs", "..", "../../etc", "a/b", "Docs", "redis", "ä", "x\0y", "{t}:a", "%2e"]) {
    const directory = names.collectionDirectory(name);
    expect(directory).toMatch(/^c-[a-z0-9_.%-]+$/);
    expect(names.collectionOfDirectory(directory)).toBe(name);
  }
  expect(names.collectionDirectory("Docs").toLowerCase()).not.toBe(names.collectionDirectory("docs"));
  expect(names.collectionOfDirectory("redis")).toBeUndefined();
  expect(names.collectionDirectory("Z".repeat(80)).length).toBeLessThanOrEqual(255);
});
