/**
 * A disk that becomes full in the very moment in which a compaction has switched to its files and no manifest names
 * them yet.
 */
import * as fs from "node:fs";
import { expect, test, vi } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { Collection } from "../../src/engine/collection.ts";
import { MANIFEST_FILE } from "../../src/engine/disk/names.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { BALLAST, fillUp, MIB, mountDisk, mountFault } from "../harness/disk.ts";

/** Full from a compaction's switch on: what is given back later is taken before a manifest is written. */
const disk = vi.hoisted(() => ({ switched: false, fill: () => {} }));
vi.mock(import("../../src/engine/fail-point.ts"), async (original) => ({
  ...(await original()),
  failPoint: (name) => {
    if (name === "compaction-before-manifest") disk.switched = true;
    const isMoment = name === "compaction-before-manifest" || name === "manifest-before-write";
    if (isMoment && disk.switched) disk.fill();
  },
}));

const DIMENSIONS = 64;
const KEYS = 500;

const key = (i: number) => Buffer.from(`key ${i}`);
/** An index that finds no room is built again by the next start. */
const warn = (what: string) => expect(what).toBe("the index was not saved");
const open = (directory: string) => Collection.open(directory, warn, testIndex);

/** What this process has open or mapped below the directory, by its names. */
function inUse(directory: string): string[] {
  const descriptors = fs.readdirSync("/proc/self/fd").map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ""; // that of the listing itself
    }
  });
  const mappings = fs.readFileSync("/proc/self/maps", "utf8").split("\n");
  const paths = [...descriptors, ...mappings.map((line) => line.slice(line.indexOf("/")))];
  return [...new Set(paths.filter((path) => path.startsWith(directory)))].sort();
}

function expectContents(store: Collection): void {
  expect(store.length).toBe(KEYS);
  for (let i = 0; i < KEYS; i += 7) expect(store.get(key(i))![0]).toBe(4 * KEYS + i);
}

interface Switched {
  directory: string;
  store: Collection;
  /** Empties the disk of all but the store. */
  makeRoom: () => void;
}

/**
 * A collection of which four fifths are dead, on a disk that a compaction fills to the last byte right after its
 * switch.
 */
async function switchedOnFullDisk(): Promise<Switched> {
  const mounted = mountDisk(24 * MIB);
  const directory = `${mounted}/c-c`;
  fs.mkdirSync(directory);
  await createFiles(directory, "c", resolveOptions({ dimensions: DIMENSIONS, metric: "L2" }), "0-0");
  const store = await open(directory);
  for (let i = 0; i < 5 * KEYS; i++) store.insert(key(i % KEYS), new Float32Array(DIMENSIONS).fill(i));
  await store.checkpoint();
  Object.assign(disk, { switched: false, fill: () => fillUp(mounted) });
  await expect(store.compact()).rejects.toMatchObject({ code: "FULL" });
  const makeRoom = () => {
    disk.fill = () => {};
    fs.rmSync(`${mounted}/${BALLAST}`);
  };
  return { directory, store, makeRoom };
}

test.skipIf(mountFault !== undefined)(
  "lets go of the old files, which stay until a checkpoint finds room to name the new ones",
  async () => {
    const { directory, store, makeRoom } = await switchedOnFullDisk();
    // The garbage collector works in steps.
    await vi.waitFor(
      () => expect(inUse(directory).filter((path) => !path.includes("/generation-1/"))).toEqual([]),
      60_000,
    );
    expect(fs.readdirSync(directory)).toEqual(expect.arrayContaining(["generation-1", "keys.log"]));
    expectContents(store);
    await expect(store.checkpoint()).rejects.toMatchObject({ code: "FULL" });
    makeRoom();
    await store.checkpoint();
    expect(fs.readdirSync(directory).sort()).toEqual([MANIFEST_FILE, "generation-1"]);
    expectContents(store);
    await store.close();
    const reopened = await open(directory);
    expectContents(reopened);
    expect(reopened.stats().compactions).toBe(1);
    await reopened.close();
  },
);

test.skipIf(mountFault !== undefined)("loses nothing when the process ends before that", async () => {
  const { directory, store, makeRoom } = await switchedOnFullDisk();
  const copy = `${temporaryDirectory()}/c-c`;
  fs.cpSync(directory, copy, { recursive: true });
  const reopened = await open(copy);
  expectContents(reopened);
  expect(reopened.stats().compactions).toBe(0);
  await reopened.close();
  makeRoom();
  await store.close();
  expect(fs.readdirSync(directory).sort()).toEqual([MANIFEST_FILE, "generation-1"]);
});

test.skipIf(mountFault !== undefined)("is made good by the next compaction too", async () => {
  const { directory, store, makeRoom } = await switchedOnFullDisk();
  makeRoom();
  await store.compact();
  expect(fs.readdirSync(directory).sort()).toEqual([MANIFEST_FILE, "generation-2"]);
  expectContents(store);
  await store.close();
});
