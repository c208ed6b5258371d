/**
 * How many files this process may have open, and has. A collection keeps some open as long as it is served. Without
 * spare ones nothing works any more, so CREATE checks for room before it is used up.
 */
import * as fs from "node:fs";

/** Files kept free for short uses and for connections. */
const spareFiles = 64;
/** Of a small collection: its first segment and its two logs. */
const filesOfCollection = 3;

/** RLIMIT_NOFILE, which Node raises as far as it may; infinitely many where the system does not tell. */
export function openFilesMax(): number {
  try {
    const limits = fs.readFileSync("/proc/self/limits", "utf8");
    return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Whether the files of one more collection can be opened. */
export function hasRoomForCollection(): boolean {
  const max = openFilesMax();
  if (!Number.isFinite(max)) return true;
  return fs.readdirSync("/proc/self/fd").length + filesOfCollection + spareFiles <= max;
}

/** About how many collections a limit of open files allows; for a warning at the start. */
export const collectionsWithin = (files: number): number =>
  Math.max(0, Math.floor((files - 2 * spareFiles) / filesOfCollection));
