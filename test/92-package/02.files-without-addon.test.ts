/** Locks and mappings where the addon is not built: other ways to the same end. */
import * as fs from "node:fs";
import { expect, test } from "vitest";
import { findAddon } from "../../src/engine/addon.ts";
import { portableLockFile } from "../../src/engine/disk/lock.ts";
import {
  mapFile,
  portableMapFile,
  portableResidentBytes,
  residentBytes,
} from "../../src/engine/disk/mapping.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const addon = findAddon<{ lockFile: typeof portableLockFile }>()!;

test.each([
  ["the program flock", portableLockFile, addon.lockFile],
  ["the addon", addon.lockFile, portableLockFile],
])("a lock by %s keeps the other way out until its file is closed; readers share", (_, ours, theirs) => {
  const path = `${temporaryDirectory()}/LOCK`;
  const [first, second] = [fs.openSync(path, "a+"), fs.openSync(path, "a+")];
  expect(ours(first, true)).toBe(true);
  expect(theirs(second, true)).toBe(false);
  expect(theirs(second, false)).toBe(false);
  fs.closeSync(first);
  expect(theirs(second, false)).toBe(true);
  const third = fs.openSync(path, "r");
  expect(ours(third, false)).toBe(true);
  expect(ours(third, true)).toBe(false);
  for (const descriptor of [second, third]) fs.closeSync(descriptor);
});

test("both ways map the same bytes, and a mapping outlives its descriptor", () => {
  const path = `${temporaryDirectory()}/file`;
  fs.writeFileSync(path, Buffer.alloc(8_192, 7));
  const descriptor = fs.openSync(path, "r+");
  const [native, portable] = [mapFile(descriptor, 8_192), portableMapFile()(descriptor, 8_192)];
  fs.closeSync(descriptor);
  native[5_000] = 9;
  expect(portable[5_000]).toBe(9);
  portable[0] = 3;
  expect(native[0]).toBe(3);
  expect(fs.readFileSync(path)).toEqual(Buffer.from(native));
});

test("both ways tell how much of a mapped file is in memory; so do samples of it, about", () => {
  const path = `${temporaryDirectory()}/file`;
  const MiB = 1 << 20;
  const descriptor = fs.openSync(path, "w+");
  // Nothing but a hole: its pages come into memory when they are written to.
  fs.ftruncateSync(descriptor, 16 * MiB);
  const mapping = mapFile(descriptor, 16 * MiB);
  fs.closeSync(descriptor);
  const both = () => [residentBytes(mapping, 16), portableResidentBytes()(mapping, 16)];
  expect(both()).toEqual([0, 0]);
  mapping.fill(1, 0, 8 * MiB);
  // The system may have read ahead.
  const [native, portable] = both();
  expect(native).toBe(portable);
  expect(native).toBeGreaterThanOrEqual(8 * MiB);
  mapping.fill(1, 8 * MiB);
  expect([...both(), residentBytes(mapping, 1)]).toEqual([16 * MiB, 16 * MiB, 16 * MiB]);
});

test("what cannot be mapped or locked is an error that says why", () => {
  expect(() => mapFile(9_999, 4_096)).toThrow("mmap: Bad file descriptor");
  expect(() => addon.lockFile(9_999, true)).toThrow("flock: Bad file descriptor");
});
