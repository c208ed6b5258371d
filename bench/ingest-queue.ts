/**
 * Jobs of the queue vstore-ingest, from the first that is added until the last has completed, beside VSTORE.MINSERT of
 * the same vectors in the same batches from as many connections as there are jobs under way. Producer and sidecar share
 * the machine in both; what the producer sends is encoded beforehand.
 */
import { Queue, QueueEvents } from "bullmq";
import type { Redis } from "ioredis";
import { alternate, type Row, rate, report, thousands } from "./harness.ts";
import { randomBlobs, share, withClients, withVstore } from "./through-redis.ts";

const DIMENSIONS = 128;
const JOB_ITEMS = 500;
const JOBS = 200;
/** Jobs of one addBulk. */
const BULK_JOBS = 20;
const ROUNDS = 3;
/** The default of ingest_concurrency. */
const CONNECTIONS = 4;
const COLLECTION = "bench";
const KEYS = { prefix: "vstore:bull" };

const blobs = randomBlobs(16, JOB_ITEMS, DIMENSIONS);
const blobOf = (job: number): Buffer => blobs[job % blobs.length]!;
const keysOf = (job: number): string[] =>
  Array.from({ length: JOB_ITEMS }, (_, i) => `key:${job * JOB_ITEMS + i}`);

type Form = "base64" | "numbers";

function dataOf(job: number, form: Form): object {
  const bytes = DIMENSIONS * Float32Array.BYTES_PER_ELEMENT;
  const items = keysOf(job).map((key, i) => {
    const row = blobOf(job).subarray(i * bytes, (i + 1) * bytes);
    const numbers = () => [...new Float32Array(row.buffer, row.byteOffset, DIMENSIONS)];
    return { key, vector: form === "base64" ? row.toString("base64") : numbers() };
  });
  return { collection: COLLECTION, items };
}

/** Vectors per second. */
async function inCollection(client: Redis, work: () => Promise<unknown>): Promise<number> {
  await client.call("VSTORE.CREATE", COLLECTION, "DIM", DIMENSIONS, "METRIC", "L2");
  const result = await rate(JOBS * JOB_ITEMS, work);
  const there = await client.call("VSTORE.CARD", COLLECTION);
  if (there !== JOBS * JOB_ITEMS) throw new Error(`${there} vectors are there`);
  await client.call("VSTORE.DROP", COLLECTION);
  return result;
}

async function addAll(queue: Queue, events: QueueEvents, jobs: readonly object[]): Promise<void> {
  let left = jobs.length;
  const done = new Promise<void>((resolve) => {
    events.removeAllListeners("completed");
    events.on("completed", () => --left === 0 && resolve());
  });
  for (let at = 0; at < jobs.length; at += BULK_JOBS) {
    await queue.addBulk(jobs.slice(at, at + BULK_JOBS).map((data) => ({ name: "items", data })));
  }
  await done;
}

async function measure(url: string, form: Form): Promise<Row> {
  const { hostname: host, port } = new URL(url);
  const connection = { host, port: Number(port) };
  const queue = new Queue("vstore-ingest", { connection, ...KEYS });
  const events = new QueueEvents("vstore-ingest", { connection, ...KEYS });
  await events.waitUntilReady();
  const jobs = Array.from({ length: JOBS }, (_, job) => dataOf(job, form));
  const compared = await withClients(url, CONNECTIONS, (clients) =>
    alternate(
      ROUNDS,
      () => inCollection(clients[0]!, () => addAll(queue, events, jobs)),
      () =>
        inCollection(clients[0]!, () =>
          share(clients, JOBS, (each, job) =>
            each.call("VSTORE.MINSERT", COLLECTION, JOB_ITEMS, ...keysOf(job), "FP32", blobOf(job)),
          ),
        ),
    ),
  );
  await Promise.all([queue.close(), events.close()]);
  return {
    vectors: form,
    "vectors/s": thousands(compared.ours),
    "MINSERT/s": thousands(compared.ceiling),
    "of MINSERT": compared.ratio.toFixed(2),
  };
}

await withVstore(async ({ url }) => {
  const rows = [await measure(url, "base64"), await measure(url, "numbers")];
  const aim = `50 K vectors/s as base64; ${DIMENSIONS} dimensions, ${JOB_ITEMS} items a job`;
  report({ workload: "ingest-queue", aim, rows });
});
