/** What the paired workloads share: two checkouts served side by side, and the CPU time that their processes take. */
import { existsSync } from "node:fs";
import type { Redis } from "ioredis";
import type { startVstore, Vstore } from "../harness/sidecar.ts";

export { cpuUs, threadUs } from "./cpu.ts";

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
