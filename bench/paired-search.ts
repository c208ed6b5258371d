/**
 * SEARCH on GloVe 100,000 x 100 through Redis, this checkout beside another one that is built: `OTHER=/path/to/it npx
 * tsx bench/paired-search.ts`. Both are loaded, then asked in turn, for each EF by 8 and by 64 clients. SIZE and
 * ROUNDS make it smaller.
 */
import type { Redis } from "ioredis";
import { median, percentile, type Row, report } from "./harness.ts";
import { cpuUs, roots, serverPid, startFrom, threadUs } from "./pairs.ts";
import { dataset, filesOf, prepare, readBase, readQueries, readTruth } from "./search/datasets.ts";
import { row } from "./search/matrix.ts";
import { K } from "./search/settings.ts";
import { share, withClients } from "./through-redis.ts";

const SIZE = Number(process.env.SIZE ?? 100_000);
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const EFS = (process.env.EFS ?? "16,32,64,128,256").split(",");
const CLIENTS = [8, 64];
const SEARCHES = 4_000;
const BATCH = 500;

const set = dataset("glove-100");
prepare(set, SIZE);
const base = readBase(set, SIZE);
const queries = readQueries(set, SIZE);
const truth = readTruth(filesOf(set, SIZE).truth);
const blobs = Array.from({ length: queries.rows }, (_, i) => {
  const { buffer, byteOffset, byteLength } = row(queries, i);
  return Buffer.from(buffer, byteOffset, byteLength);
});

async function load(client: Redis): Promise<void> {
  await client.call("VSTORE.CREATE", "glove", "DIM", base.dimensions);
  const bytes = Buffer.from(base.data.buffer);
  const size = base.dimensions * Float32Array.BYTES_PER_ELEMENT;
  for (let from = 0; from < base.rows; from += BATCH) {
    const count = Math.min(BATCH, base.rows - from);
    const keys = Array.from({ length: count }, (_, i) => from + i);
    const blob = bytes.subarray(from * size, (from + count) * size);
    await client.call("VSTORE.MINSERT", "glove", count, ...keys, "FP32", blob);
  }
  await client.call("VSTORE.BUILD", "glove", "WAIT");
}

interface Side {
  readonly sidecar: number;
  readonly server: number;
  readonly clients: readonly Redis[];
}

interface Measured {
  readonly rate: number;
  readonly p99: number;
  readonly recall: number;
  readonly mainUs: number;
  readonly sidecarUs: number;
  readonly serverUs: number;
}

async function measure({ sidecar, server, clients }: Side, count: number, ef: string): Promise<Measured> {
  let hits = 0;
  const times: number[] = [];
  const [main, all, redis] = [threadUs(sidecar), cpuUs(sidecar), cpuUs(server)];
  const start = performance.now();
  await share(clients.slice(0, count), SEARCHES, async (client, i) => {
    const at = i % blobs.length;
    const asked = performance.now();
    const call = client.call("VSTORE.SEARCH", "glove", "FP32", blobs[at]!, "COUNT", K, "EF", ef);
    const found = new Set(((await call) as string[]).map(Number));
    times.push(performance.now() - asked);
    for (const wanted of truth.subarray(at * K, (at + 1) * K)) if (found.has(wanted)) hits++;
  });
  const seconds = (performance.now() - start) / 1000;
  return {
    rate: SEARCHES / seconds,
    p99: percentile(times, 99),
    recall: hits / SEARCHES / K,
    mainUs: (threadUs(sidecar) - main) / SEARCHES,
    sidecarUs: (cpuUs(sidecar) - all) / SEARCHES,
    serverUs: (cpuUs(server) - redis) / SEARCHES,
  };
}

/** @param sides the other one, and this one */
async function compare(sides: readonly [Side, Side], count: number, ef: string): Promise<Row> {
  const rounds: [Measured, Measured][] = [];
  for (let i = 0; i <= ROUNDS; i++) {
    const measured: Measured[] = [];
    for (const side of i % 2 === 0 ? [0, 1] : [1, 0]) measured[side] = await measure(sides[side]!, count, ef);
    if (i > 0) rounds.push(measured as [Measured, Measured]); // the first only warms up
  }
  const both = (what: keyof Measured, digits = 0) =>
    [0, 1].map((side) => median(rounds.map((each) => each[side]![what])).toFixed(digits)).join(" / ");
  return {
    clients: count,
    EF: ef,
    "recall, other / this": both("recall", 3),
    "searches/s": both("rate"),
    "this of other": median(rounds.map(([theirs, ours]) => ours.rate / theirs.rate)).toFixed(2),
    "p99 ms": both("p99", 1),
    "main thread us": both("mainUs"),
    "sidecar CPU us": both("sidecarUs"),
    "server CPU us": both("serverUs"),
  };
}

const started = await Promise.all(roots.map(startFrom));
try {
  await withClients(started[0]!.url, CLIENTS.at(-1)!, (theirs) =>
    withClients(started[1]!.url, CLIENTS.at(-1)!, async (ours) => {
      const sides: Side[] = [];
      for (const [i, clients] of [theirs, ours].entries()) {
        await load(clients[0]!);
        sides.push({ clients, sidecar: started[i]!.sidecar.pid, server: await serverPid(clients[0]!) });
      }
      const rows: Row[] = [];
      for (const count of CLIENTS)
        for (const ef of EFS) rows.push(await compare(sides as [Side, Side], count, ef));
      report({ workload: "paired-search", aim: "this checkout beside another one, in turn", rows });
    }),
  );
} finally {
  for (const vstore of started) await vstore.stop();
}
