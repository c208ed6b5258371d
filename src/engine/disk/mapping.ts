/**
 * Memory-mapped files: by the addon, or by mmap-io where the addon is not built. The only file that knows mmap-io. The
 * npm package of that name does not compile on Node 20, so package.json takes the maintained fork under it; that one
 * does not compile on Node 24, so it is an optional dependency.
 *
 * A mapping lives until the garbage collector has found its buffer and every view on it unreachable: a slice
 * handed to a user stays valid after the collection is closed, even after its file is deleted.
 */
import { createRequire } from "node:module";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { findAddon, notBuilt } from "../addon.ts";

/** Longer than a collection in steps takes. */
const secondLookMs = 1_000;

type MapFile = (descriptor: number, bytes: number) => Buffer;

type ResidentBytes = (mapping: Buffer, pieces: number) => number;

let chosen: MapFile | undefined;
let chosenResident: ResidentBytes | undefined;

/**
 * The first `bytes` of the open file, readable and writable, shared with the file.
 *
 * @throws {VstoreError} ERR where nothing that maps files is built
 */
export const mapFile: MapFile = (descriptor, bytes) => {
  chosen ??= findAddon<{ mapFile: MapFile }>()?.mapFile ?? portableMapFile();
  return chosen(descriptor, bytes);
};

/**
 * Bytes of a mapped file that are in memory, whichever process brought them there. It looks at so many pieces of 1 MiB,
 * spread over the file evenly, some microseconds each; of a larger file the answer is what they make likely.
 */
export const residentBytes: ResidentBytes = (mapping, pieces) => {
  chosenResident ??= findAddon<{ residentBytes: ResidentBytes }>()?.residentBytes ?? portableResidentBytes();
  return chosenResident(mapping, pieces);
};

/**
 * Gives the pages of a mapped file back to the system, which reads them again when they are used. Nothing is lost: what
 * was written goes to the file first. Does nothing where the addon is not built.
 */
export function giveBack(mapping: Buffer): Promise<void> {
  return (
    findAddon<{ giveBack: (mapping: Buffer) => Promise<void> }>()?.giveBack(mapping) ?? Promise.resolve()
  );
}

/** mmap-io looks at all pages and counts those that are not there, then those that are. */
export function portableResidentBytes(): ResidentBytes {
  const mmap = requireMmapIo();
  return (mapping) => Math.min(mapping.length, mmap.incore(mapping)[1] * mmap.PAGESIZE);
}

/** What mmap-io does. @throws {VstoreError} ERR where it is not built */
export function portableMapFile(): MapFile {
  const mmap = requireMmapIo();
  // 3 is PROT_READ | PROT_WRITE; the package's types know the number, not the expression.
  return (descriptor, bytes) => mmap.map(bytes, 3, mmap.MAP_SHARED, descriptor);
}

/** Its types declare a default export; at run time the module is that object itself. */
function requireMmapIo(): typeof import("mmap-io")["default"] {
  try {
    return createRequire(import.meta.url)("mmap-io");
  } catch {
    throw notBuilt("what maps files into memory");
  }
}

/**
 * Has files unmapped that nothing refers to any more, so that the disk space of deleted files returns. The garbage
 * collector does not know how much memory hangs on a small object, so it is told to begin. It goes on in steps; where
 * the addon is not built it stops all else for as long as it takes.
 */
export function releaseMappings(): void {
  const addon = findAddon<{ beginCollecting: () => void }>();
  const begin = addon?.beginCollecting ?? collectGarbage;
  begin();
  // What it has found in use may not be so any more once it is done.
  if (addon !== undefined) setTimeout(begin, secondLookMs).unref();
}

/** At once. */
export function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
}
