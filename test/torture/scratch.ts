/**
 * A directory in memory, where there is enough of it. A killed process loses nothing that it gave to the kernel, so
 * a disk would only make the same test slower: what fdatasync is good for takes a power cut to show.
 */
import { mkdtempSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MEMORY = "/dev/shm";
const FREE_BYTES_MIN = 4 * 1024 ** 3;

export function scratchDirectory(purpose: string): string {
  return mkdtempSync(join(hasRoom(MEMORY) ? MEMORY : tmpdir(), `vstore-${purpose}-`));
}

function hasRoom(directory: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize >= FREE_BYTES_MIN;
  } catch {
    return false;
  }
}
