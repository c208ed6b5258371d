/** The CPU time of processes, from what Linux counts. */
import { readdirSync, readFileSync } from "node:fs";

/** Microseconds that all threads of a process have run. */
export function cpuUs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + threadUs(pid, Number(thread)), 0);
}

/** Microseconds that one thread has run; the main one has the number of its process. */
export function threadUs(pid: number, thread = pid): number {
  return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]) / 1000;
}
