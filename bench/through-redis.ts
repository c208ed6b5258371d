/**
 * What the workloads through Redis share: a private Redis with the module and the settings of the embedded default,
 * the sidecar as a process of its own (dist/cli.js), client connections, and the same request as a plain XADD.
 */
import { Redis } from "ioredis";
import { startVstore, type Vstore } from "../harness/sidecar.ts";

export type Argument = string | number | Buffer;

/** Runs `work` and cleans up after it, whatever happens. */
export async function withVstore(work: (vstore: Vstore) => Promise<void>): Promise<void> {
  // A rewrite of the AOF would fall into one round or the other at random.
  const vstore = await startVstore({ appendonly: "everysec", args: ["--auto-aof-rewrite-percentage", "0"] });
  try {
    await work(vstore);
  } finally {
    await vstore.stop();
  }
}

export async function withClients<T>(
  url: string,
  count: number,
  work: (clients: readonly Redis[]) => Promise<T>,
): Promise<T> {
  const clients = Array.from({ length: count }, () => new Redis(url, { protocol: 2 }));
  try {
    await Promise.all(clients.map((client) => client.ping()));
    return await work(clients);
  } finally {
    for (const client of clients) client.disconnect();
  }
}

/** Sends request 0, 1, … `count - 1`; each client sends its next one when its last one is answered. */
export async function share(
  clients: readonly Redis[],
  count: number,
  send: (client: Redis, request: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const work = async (client: Redis) => {
    while (next < count) await send(client, next++);
  };
  await Promise.all(clients.map(work));
}

/** The arguments of an XADD that appends the very entry that the module would append. */
export function asEntry(stream: string, command: string, args: readonly Argument[]): Argument[] {
  const fields = args.flatMap((argument, position) => [position, argument]);
  return [stream, "*", "cmd", command, "client", 100, ...fields];
}

/** Blobs of `count` random vectors each, for requests to take in turn. */
export function randomBlobs(blobs: number, count: number, dimensions: number): Buffer[] {
  const components = count * dimensions;
  return Array.from({ length: blobs }, () => {
    const vectors = Float32Array.from({ length: components }, () => Math.random() * 2 - 1);
    return Buffer.from(vectors.buffer);
  });
}
