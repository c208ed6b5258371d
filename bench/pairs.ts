/** What the paired workloads share: two checkouts served side by side, and the CPU time that their processes take. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import type { startVstore, Vstore } from "../harness/sidecar.ts";

const SETTINGS = { appendonly: "everysec" as const, args: ["--auto-aof-rewrite-percentage", "0"] };

const other = process.env.OTHER;
if (other === undefined)
  throw new Error("OTHER must be the directory of another checkout, after `make build`");
/** The other checkout and this one. */
export const roots: readonly [string, string] = [other, new URL("..", import.meta.url).pathname];

export async function startFrom(root: string): Promise<Vstore> {
  // Older checkouts have it among their tests.
  const place = existsSync(`${root}/harness/sidecar.ts`) ? "harness" : "test/harness";
  const { startVstore: start } = (await import(`${root}/${place}/sidecar.ts`)) as {
    startVstore: typeof startVstore;
  };
  return start(SETTINGS);
}

export async function serverPid(client: Redis): Promise<number> {
  return Number(/process_id:(\d+)/.exec(await client.info("server"))![1]);
}

/** Microseconds that all threads of a process have run. */
export function cpuUs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + threadUs(pid, Number(thread)), 0);
}

/** Microseconds that one thread has run; the main one has the number of its process. */
export function threadUs(pid: number, thread = pid): number {
  return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]) / 1000;
}
