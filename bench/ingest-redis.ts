/**
 * VSTORE.MINSERT in batches, until the last one is answered, beside the ceiling: XADD of the very same stream entries
 * over the same connections, until a reader that throws them away has read the last one. A command that
 * blocks keeps its connection waiting, so several connections keep several batches under way.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Redis } from "ioredis";
import type { Task } from "./discard.ts";
import { alternate, type Row, rate, report, thousands } from "./harness.ts";
import { type Argument, asEntry, randomBlobs, share, withClients, withVstore } from "./through-redis.ts";

const DIMENSIONS = [128, 768];
const BATCH_VECTORS = 100;
/** Vector bytes of one round. */
const ROUND_BYTES = 64 << 20;
const ROUNDS = 5;
const CONNECTIONS = 8;
const COLLECTION = "bench";
const STREAM = "bench:ceiling";

class Ingest {
  readonly batches: number;
  readonly #dimensions: number;
  readonly #blobs: readonly Buffer[];
  readonly #clients: readonly Redis[];
  readonly #reader: ChildProcess;

  constructor(dimensions: number, clients: readonly Redis[], reader: ChildProcess) {
    this.#dimensions = dimensions;
    this.#blobs = randomBlobs(16, BATCH_VECTORS, dimensions);
    this.batches = Math.floor(ROUND_BYTES / this.#blobs[0]!.length);
    this.#clients = clients;
    this.#reader = reader;
  }

  /** Vectors per second. */
  async vstore(): Promise<number> {
    const [client] = this.#clients;
    await client!.call("VSTORE.CREATE", COLLECTION, "DIM", this.#dimensions, "METRIC", "L2");
    const result = await rate(this.batches * BATCH_VECTORS, () =>
      share(this.#clients, this.batches, (each, batch) => each.call("VSTORE.MINSERT", ...this.#args(batch))),
    );
    await client!.call("VSTORE.DROP", COLLECTION);
    return result;
  }

  /** Vectors per second. */
  async ceiling(): Promise<number> {
    const result = await rate(this.batches * BATCH_VECTORS, async () => {
      this.#reader.send({ stream: STREAM, entries: this.batches } satisfies Task);
      const isRead = once(this.#reader, "message");
      await share(this.#clients, this.batches, (each, batch) =>
        each.call("XADD", ...asEntry(STREAM, "MINSERT", this.#args(batch))),
      );
      await isRead;
    });
    await this.#clients[0]!.unlink(STREAM);
    return result;
  }

  #args(batch: number): Argument[] {
    const keys = Array.from({ length: BATCH_VECTORS }, (_, i) => `key:${batch * BATCH_VECTORS + i}`);
    return [COLLECTION, BATCH_VECTORS, ...keys, "FP32", this.#blobs[batch % this.#blobs.length]!];
  }
}

async function measure(dimensions: number, clients: readonly Redis[], reader: ChildProcess): Promise<Row> {
  const ingest = new Ingest(dimensions, clients, reader);
  const { ours, ceiling, ratio } = await alternate(
    ROUNDS,
    () => ingest.vstore(),
    () => ingest.ceiling(),
  );
  return {
    dimensions,
    "vectors/s": thousands(ours),
    "MB/s": Math.round((ours * dimensions * 4) / 1e6),
    "ceiling/s": thousands(ceiling),
    "of ceiling": ratio.toFixed(2),
  };
}

await withVstore(async ({ url }) => {
  const reader = fork(fileURLToPath(new URL("discard.ts", import.meta.url)), [url]);
  const rows: Row[] = [];
  await withClients(url, CONNECTIONS, async (clients) => {
    for (const dimensions of DIMENSIONS) rows.push(await measure(dimensions, clients, reader));
  }).finally(() => reader.disconnect());
  const aim = `0.7 of the ceiling; ${BATCH_VECTORS} vectors a batch, ${CONNECTIONS} connections`;
  report({ workload: "ingest-redis", aim, rows });
});
