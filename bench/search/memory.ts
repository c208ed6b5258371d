/** What processes hold in RAM, of mapped files and otherwise, as Linux tells. */
import * as fs from "node:fs";

export interface Memory {
  /** Heaps, stacks and shared memory: what cannot be read again from a file. */
  readonly anonymous: number;
  /** Pages of mapped files that are in RAM; the system may drop them. */
  readonly files: number;
}

/** Bytes of all the processes together; undefined where there is no /proc. */
export function memoryOf(processes: readonly number[]): Memory | undefined {
  if (!fs.existsSync("/proc/self/status")) return undefined;
  let [anonymous, files] = [0, 0];
  for (const process of processes) {
    const status = fs.readFileSync(`/proc/${process}/status`, "utf8");
    anonymous += field(status, "RssAnon") + field(status, "RssShmem");
    files += field(status, "RssFile");
  }
  return { anonymous, files };
}

function field(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024;
}
