/**
 * How many files this process may have open, and how many of them the files of collections may keep. The others are for
 * connections and short uses. Without spare ones nothing works any more, so the room is checked before it is used up.
 */
import * as fs from "node:fs";

/** Files kept free for short uses and for connections. */
const spareFiles = 64;
/** Those of one small collection, which are opened together: its first segment and its two logs. */
const filesOfCollection = 3;
/** Descriptors that the files of all collections keep; more are opened and closed again. */
const descriptorsKeptMax = 512;
const descriptorsKeptMin = 8;

/** What the program needs at least: Node alone opens dozens at a start. */
export const openFilesMin = 128;
/** What a process should be allowed, so that the files in use stay open. */
export const openFilesWanted = 1_024;

/** RLIMIT_NOFILE, which Node raises as far as it may; infinitely many where the system does not tell. */
export function openFilesMax(): number {
  try {
    const limits = fs.readFileSync("/proc/self/limits", "utf8");
    return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

export function tooFewFiles(): string {
  return `this process may have ${openFilesMax()} files open, too few; raise its limit (ulimit -n, LimitNOFILE)`;
}

let kept: number | undefined;

/** How many descriptors the files of all collections may keep: half of what is not kept free. */
export function descriptorsKept(): number {
  kept ??= Math.min(
    Math.max(Math.floor((openFilesMax() - 2 * spareFiles) / 2), descriptorsKeptMin),
    descriptorsKeptMax,
  );
  return kept;
}

/** Whether the files of one more collection can be opened. */
export function hasRoomForCollection(): boolean {
  const max = openFilesMax();
  if (!Number.isFinite(max)) return true;
  return fs.readdirSync("/proc/self/fd").length + filesOfCollection + spareFiles <= max;
}
