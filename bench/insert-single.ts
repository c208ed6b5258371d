/**
 * Single VSTORE.INSERT, sent in pipelines, beside XADD of the very same stream entries in the same pipelines over the
 * same connections. A command that blocks keeps the rest of its connection waiting, so what one
 * connection can do is one answer after the other; more connections share a batch, and MULTI does not wait at all.
 */
import type { ChainableCommander, Redis } from "ioredis";
import { alternate, type Row, rate, report } from "./harness.ts";
import { type Argument, asEntry, randomBlobs, share, withClients, withVstore } from "./through-redis.ts";

const DIMENSIONS = 128;
const PIPELINE_COMMANDS = 100;
const ROUNDS = 5;
const COLLECTION = "bench";
const STREAM = "bench:ceiling";
const BLOBS = randomBlobs(1_000, 1, DIMENSIONS);

interface Form {
  readonly connections: number;
  /** Each pipeline is one MULTI … EXEC. */
  readonly multi: boolean;
  /** Of one round. */
  readonly inserts: number;
}

const FORMS: readonly Form[] = [
  { connections: 1, multi: false, inserts: 2_000 },
  { connections: 16, multi: false, inserts: 8_000 },
  { connections: 64, multi: false, inserts: 16_000 },
  { connections: 1, multi: true, inserts: 20_000 },
  { connections: 16, multi: true, inserts: 20_000 },
];

const insertArguments = (i: number): Argument[] => [COLLECTION, `key:${i}`, "FP32", BLOBS[i % BLOBS.length]!];

type Add = (pipeline: ChainableCommander, i: number) => void;
const addInsert: Add = (pipeline, i) => pipeline.call("VSTORE.INSERT", ...insertArguments(i));
const addXadd: Add = (pipeline, i) => pipeline.call("XADD", ...asEntry(STREAM, "INSERT", insertArguments(i)));

/** Inserts per second. The answer to CARD says that what was only queued by MULTI is there too. */
async function measureInserts(clients: readonly Redis[], form: Form): Promise<number> {
  const [client] = clients;
  await client!.call("VSTORE.CREATE", COLLECTION, "DIM", DIMENSIONS, "METRIC", "L2");
  const result = await rate(form.inserts, async () => {
    await sendAll(clients, form, addInsert);
    const stored = await client!.call("VSTORE.CARD", COLLECTION);
    if (stored !== form.inserts) throw new Error(`${stored} of ${form.inserts} vectors were stored`);
  });
  await client!.call("VSTORE.DROP", COLLECTION);
  return result;
}

async function measureXadds(clients: readonly Redis[], form: Form): Promise<number> {
  const result = await rate(form.inserts, () => sendAll(clients, form, addXadd));
  await clients[0]!.unlink(STREAM);
  return result;
}

function sendAll(clients: readonly Redis[], { inserts, multi }: Form, add: Add): Promise<void> {
  return share(clients, inserts / PIPELINE_COMMANDS, async (client, request) => {
    const pipeline = multi ? client.multi() : client.pipeline();
    for (let i = 0; i < PIPELINE_COMMANDS; i++) add(pipeline, request * PIPELINE_COMMANDS + i);
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
  });
}

async function measure(clients: readonly Redis[], form: Form): Promise<Row> {
  const { ours, ceiling, ratio } = await alternate(
    ROUNDS,
    () => measureInserts(clients, form),
    () => measureXadds(clients, form),
  );
  return {
    connections: form.connections,
    form: form.multi ? `MULTI of ${PIPELINE_COMMANDS}` : `pipelines of ${PIPELINE_COMMANDS}`,
    "INSERT/s": Math.round(ours),
    "XADD/s": Math.round(ceiling),
    "of XADD": ratio.toFixed(2),
  };
}

await withVstore(async ({ url }) => {
  const rows: Row[] = [];
  for (const form of FORMS) {
    rows.push(await withClients(url, form.connections, (clients) => measure(clients, form)));
  }
  report({ workload: "insert-single", aim: `0.5 of XADD; ${DIMENSIONS} dimensions`, rows });
});
