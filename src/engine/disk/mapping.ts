/**
 * Memory-mapped files. The only file that knows mmap-io: the npm package of that name does not compile on
 * Node 20, so package.json takes the maintained fork under it.
 *
 * A mapping lives until the garbage collector has found its buffer and every view on it unreachable: a slice
 * handed to a user stays valid after the collection is closed, even after its file is deleted.
 */
import { createRequire } from "node:module";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

// Its types declare a default export; at run time the module is that object itself.
const mmap = createRequire(import.meta.url)("mmap-io") as typeof import("mmap-io")["default"];

/** The first `bytes` of the open file, readable and writable, shared with the file. */
export function mapFile(descriptor: number, bytes: number): Buffer {
  // 3 is PROT_READ | PROT_WRITE; the package's types know the number, not the expression.
  return mmap.map(bytes, 3, mmap.MAP_SHARED, descriptor);
}

/**
 * Unmaps what nothing refers to any more, so that the disk space of deleted files returns. mmap-io leaves that to the
 * garbage collector, which does not know how much hangs on a small object, so it is asked.
 */
export function releaseMappings(): void {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  collectGarbage();
}
