/**
 * A saved portable index that matches its checksum and is no graph: hnswlib would follow its links out of its memory.
 * It is refused and built again.
 */
import * as fs from "node:fs";
import { expect, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { readManifest, writeManifest } from "../../src/engine/disk/manifest.ts";
import { fileChecksum } from "../../src/engine/index/index-file.ts";
import { MmapVectorStore } from "../../src/index.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const random = generator(testSeed());
const [dimensions, M, count] = [8, 8, 400];
const rowBytes = 4 * (2 * M + 1) + 4 * dimensions + 8;
const lists = 96 + count * rowBytes;

async function filled(directory: string): Promise<string> {
  const options = { dimensions, M, efConstruction: 40, metric: "L2" as const };
  const store = await MmapVectorStore.open(directory, options, undefined, "portable");
  for (let i = 0; i < count; i++) store.insert(`k${i}`, randomVector(random, dimensions));
  await store.buildIndex();
  for (let i = 0; i < count; i += 10) store.delete(`k${i}`);
  await store.close();
  const { index } = await readManifest(directory);
  expect(index?.kind).toBe("hnswlib-node");
  return `${directory}/${index!.file}`;
}

/** Changes the index and lets the manifest vouch for it. */
async function craft(
  directory: string,
  path: string,
  change: (bytes: Buffer) => Buffer | undefined,
  unreached: readonly number[] = [],
) {
  const bytes = fs.readFileSync(path);
  fs.writeFileSync(path, change(bytes) ?? bytes);
  const manifest = await readManifest(directory);
  await writeManifest(directory, {
    ...manifest,
    index: { ...manifest.index!, ...(await fileChecksum(path)), unreached },
  });
}

/** What is said of the index when the store is opened, and whether all that is alive is found. */
async function reopened(directory: string): Promise<string[]> {
  const warnings: string[] = [];
  const warn = (_: string, details?: object) =>
    warnings.push(String((details as { reason?: string })?.reason));
  const store = await MmapVectorStore.open(directory, {}, warn, "portable");
  try {
    await store.buildIndex();
    for (const key of store.keys()) {
      const [nearest] = await store.search(store.getSlice(key)!, { k: 1, ef: count });
      expect(nearest!.key).toBe(key);
    }
    store.insert("new", randomVector(random, dimensions));
  } finally {
    await store.close();
  }
  return warnings;
}

/** Where the list of the first node above layer 0 begins. */
function firstUpperList(bytes: Buffer): number {
  let at = lists;
  while (bytes.readUInt32LE(at) === 0) at += 4;
  return at;
}

test("what was saved is loaded", async () => {
  const directory = `${temporaryDirectory()}/store`;
  await filled(directory);
  expect(await reopened(directory)).toEqual([]);
});

test.each<[string, (bytes: Buffer) => Buffer | undefined | unknown]>([
  ["a link to a node that there is not", (b) => b.writeUInt32LE(0x7fff_ffff, 96 + 7 * rowBytes + 4)],
  ["more links than there is room for", (b) => b.writeUInt16LE(0xffff, 96 + 7 * rowBytes)],
  ["a label beyond the slots", (b) => b.writeUInt32LE(count, 96 + 7 * rowBytes + rowBytes - 8)],
  ["a label twice", (b) => b.copy(b, 96 + 8 * rowBytes - 8, 96 + 7 * rowBytes - 8, 96 + 7 * rowBytes)],
  ["an entry that there is not", (b) => b.writeUInt32LE(count, 52)],
  ["an entry below the top layer", (b) => b.writeInt32LE(b.readInt32LE(48) + 1, 48)],
  ["an upper link to a node that there is not", (b) => b.writeUInt32LE(count, firstUpperList(b) + 8)],
  ["a node far above the top layer", (b) => b.writeUInt32LE(20 * 60, firstUpperList(b))],
  ["a list of half a layer", (b) => b.writeUInt32LE(10, firstUpperList(b))],
  ["another number of links", (b) => b.writeBigUInt64LE(5n, 56)],
  ["rows of another size", (b) => b.writeBigUInt64LE(8n, 24)],
  ["a capacity that takes all memory", (b) => b.writeBigUInt64LE(1n << 40n, 8)],
  ["levels drawn from infinity", (b) => b.writeDoubleLE(1e300, 80)],
  ["an end that is too early", (b) => b.subarray(0, b.length - 4)],
  ["an end that is too late", (b) => Buffer.concat([b, Buffer.alloc(4)])],
  ["nothing but a header", (b) => b.subarray(0, 96)],
  ["half a header", (b) => b.subarray(0, 40)],
])("%s is refused, and the index built again", async (_, change) => {
  const directory = `${temporaryDirectory()}/store`;
  const path = await filled(directory);
  await craft(directory, path, (bytes) => {
    const result = change(bytes);
    return Buffer.isBuffer(result) ? result : undefined;
  });
  expect(await reopened(directory)).toEqual([expect.stringContaining("not a graph that can be loaded")]);
});

/** Takes a node out of all lists of the lowest layer; returns its slot. It is on no other layer, and not the entry. */
function cutOff(bytes: Buffer): number {
  const rows = Array.from({ length: count }, (_, i) =>
    bytes.subarray(96 + i * rowBytes, 96 + (i + 1) * rowBytes),
  );
  const upper: number[] = [];
  for (let at = lists, i = 0; i < count; i++, at += 4 + bytes.readUInt32LE(at))
    if (bytes.readUInt32LE(at) > 0) upper.push(i);
  const slotOf = (row: Buffer) => row.readUInt32LE(rowBytes - 8);
  const node = rows.findIndex((row, i) => !upper.includes(i) && slotOf(row) % 10 !== 0);
  for (const row of rows) {
    const links = Array.from({ length: row.readUInt16LE(0) }, (_, i) => row.readUInt32LE(4 + 4 * i));
    const kept = links.filter((link) => link !== node);
    row.writeUInt16LE(kept.length, 0);
    for (const [i, link] of kept.entries()) row.writeUInt32LE(link, 4 + 4 * i);
  }
  return slotOf(rows[node]!);
}

test("what no walk reaches is looked at by every search, also after the index was saved and loaded", async () => {
  const directory = `${temporaryDirectory()}/store`;
  const path = await filled(directory);
  let slot = 0;
  const cut = (bytes: Buffer) => {
    slot = cutOff(bytes);
    return undefined;
  };
  await craft(directory, path, cut);
  await expect(reopened(directory)).rejects.toThrow(`k${slot}`);
  await craft(directory, path, () => undefined, [slot]);
  expect(await reopened(directory)).toEqual([]);
  expect((await readManifest(directory)).index!.unreached).toContain(slot);
});
