/**
 * Single VSTORE.INSERT, sent in pipelines, beside XADD of the very same stream entries in the same pipelines over the
 * same connections. A command that blocks keeps the rest of its connection waiting, so what one
 * connection can do is one answer after the other; more connections share a batch, and neither MULTI nor NOWAIT waits.
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
  /** Each pipeline is one MULTI … EXEC, or its commands end in NOWAIT. */
  readonly kind: "plain" | "MULTI" | "NOWAIT";
  /** Of one round. */
  readonly inserts: number;
}

const FORMS: readonly Form[] = [
  { connections: 1, kind: "plain", inserts: 2_000 },
  { connections: 16, kind: "plain", inserts: 8_000 },
  { connections: 64, kind: "plain", inserts: 16_000 },
  { connections: 1, kind: "MULTI", inserts: 20_000 },
  { connections: 16, kind: "MULTI", inserts: 20_000 },
  { connections: 1, kind: "NOWAIT", inserts: 20_000 },
  { connections: 16, kind: "NOWAIT", inserts: 20_000 },
  { connections: 64, kind: "NOWAIT", inserts: 19_200 },
];

const names = {
  plain: `pipelines of ${PIPELINE_COMMANDS}`,
  MULTI: `MULTI of ${PIPELINE_COMMANDS}`,
  NOWAIT: `pipelines of ${PIPELINE_COMMANDS}, NOWAIT`,
};

const insertArguments = (i: number): Argument[] => [COLLECTION, `key:${i}`, "FP32", BLOBS[i % BLOBS.length]!];

type Add = (pipeline: ChainableCommander, i: number) => void;
const addInsert: Add = (pipeline, i) => pipeline.call("VSTORE.INSERT", ...insertArguments(i));
const addNoWait: Add = (pipeline, i) => pipeline.call("VSTORE.INSERT", ...insertArguments(i), "NOWAIT");
const addXadd: Add = (pipeline, i) => pipeline.call("XADD", ...asEntry(STREAM, "INSERT", insertArguments(i)));

/**
 * Inserts per second. The answer to CARD says that what was only queued by MULTI is there too; of NOWAIT the answers
 * count, which promise no more than that it is in the log.
 */
async function measureInserts(clients: readonly Redis[], form: Form): Promise<number> {
  const [client] = clients;
  await client!.call("VSTORE.CREATE", COLLECTION, "DIM", DIMENSIONS, "METRIC", "L2");
  const check = async () => {
    const stored = await client!.call("VSTORE.CARD", COLLECTION);
    if (stored !== form.inserts) throw new Error(`${stored} of ${form.inserts} vectors were stored`);
  };
  const isLogged = form.kind === "NOWAIT";
  const result = await rate(form.inserts, async () => {
    await sendAll(clients, form, isLogged ? addNoWait : addInsert);
    if (!isLogged) await check();
  });
  if (isLogged) await check();
  await client!.call("VSTORE.DROP", COLLECTION);
  return result;
}

async function measureXadds(clients: readonly Redis[], form: Form): Promise<number> {
  const result = await rate(form.inserts, () => sendAll(clients, form, addXadd));
  await clients[0]!.unlink(STREAM);
  return result;
}

function sendAll(clients: readonly Redis[], { inserts, kind }: Form, add: Add): Promise<void> {
  return share(clients, inserts / PIPELINE_COMMANDS, async (client, request) => {
    const pipeline = kind === "MULTI" ? client.multi() : client.pipeline();
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
    form: names[form.kind],
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
