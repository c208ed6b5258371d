/**
 * This checkout beside another one that is built: `OTHER=/path/to/it npx tsx bench/paired.ts`. Both run at the same
 * time and are called in turn, a few hundred calls each, so that what slows the machine down slows both. The side that
 * is started second may be a tenth slower than its like, so all is done twice, the other side first each time. Of each
 * call it tells the p50 of both, the ratio of each time and their mean, and the CPU time per call of both sidecars,
 * their main threads and servers. ONLY=INSERT measures calls of that name, ROUNDS and CALLS make it shorter.
 */
import { Redis } from "ioredis";
import type { Vstore } from "../harness/sidecar.ts";
import { DIMENSIONS, loadWords } from "../harness/words.ts";
import { median, type Row, report } from "./harness.ts";
import { cpuUs, roots, serverPid, startFrom, threadUs } from "./pairs.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 12);
const CALLS = Number(process.env.CALLS ?? 400);
/** Only calls whose name has it in it. */
const ONLY = process.env.ONLY ?? "";
const AT_ONCE = 16;
const BATCH = 100;
const WIDE = 768;

interface Side {
  readonly vstore: Vstore;
  readonly client: Redis;
  readonly server: number;
}

type Call = (client: Redis, i: number) => Promise<unknown>;

const words = loadWords();
const vector = (i: number) =>
  Buffer.from(words.vectors.buffer, (i % 10_000) * DIMENSIONS * 4, DIMENSIONS * 4);
const batch = Buffer.from(words.vectors.buffer, 0, BATCH * DIMENSIONS * 4);
const wideBatch = Buffer.from(words.vectors.buffer, 0, BATCH * WIDE * 4);
const search: Call = (client, i) => client.call("VSTORE.SEARCH", "words", "FP32", vector(i), "COUNT", 10);

const minsert = (name: string, vectors: Buffer): Call => {
  return (client, i) => {
    const keys = Array.from({ length: BATCH }, (_, j) => `k${i * BATCH + j}`);
    return client.call("VSTORE.MINSERT", name, BATCH, ...keys, "FP32", vectors);
  };
};

const calls: Readonly<Record<string, Call>> = {
  CARD: (client) => client.call("VSTORE.CARD", "words"),
  GET: (client, i) => client.callBuffer("VSTORE.GET", "words", `w${i % 10_000}`, "RAW"),
  SEARCH: search,
  [`SEARCH, ${AT_ONCE} at once`]: (client, i) =>
    Promise.all(Array.from({ length: AT_ONCE }, (_, j) => search(client, i * AT_ONCE + j))),
  INSERT: (client, i) => client.call("VSTORE.INSERT", "single", `k${i}`, "FP32", vector(i)),
  // The next call is answered once the sidecar has applied them all.
  [`INSERT NOWAIT, pipelines of ${BATCH}`]: async (client, i) => {
    const pipeline = client.pipeline();
    for (let j = 0; j < BATCH; j++)
      pipeline.call("VSTORE.INSERT", "single", `k${i * BATCH + j}`, "FP32", vector(j), "NOWAIT");
    pipeline.call("VSTORE.CARD", "single");
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
  },
  [`MINSERT by ${BATCH}`]: minsert("many", batch),
  [`MINSERT by ${BATCH}, ${WIDE} d`]: minsert("wide", wideBatch),
};

const wanted = Object.fromEntries(Object.entries(calls).filter(([name]) => name.includes(ONLY)));

async function begin(root: string): Promise<Side> {
  const vstore = await startFrom(root);
  const client = new Redis(vstore.url, { protocol: 2 });
  for (const name of ["words", "single", "many", "wide"])
    await client.call("VSTORE.CREATE", name, "DIM", name === "wide" ? WIDE : DIMENSIONS);
  for (let i = 0; i < 10_000; i++) await client.call("VSTORE.INSERT", "words", `w${i}`, "FP32", vector(i));
  await client.call("VSTORE.BUILD", "words", "WAIT");
  return { vstore, client, server: await serverPid(client) };
}

/** The p50 of a round, and the CPU time per call of the sidecar, its main thread and the server, in microseconds. */
async function round({ vstore, client, server }: Side, call: Call, from: number): Promise<number[]> {
  const used = () => [cpuUs(vstore.sidecar.pid), threadUs(vstore.sidecar.pid), cpuUs(server)];
  const before = used();
  const times: number[] = [];
  for (let i = 0; i < CALLS; i++) {
    const start = performance.now();
    await call(client, from + i);
    times.push((performance.now() - start) * 1000);
  }
  return [median(times), ...used().map((us, i) => (us - before[i]!) / CALLS)];
}

interface Compared {
  /** For each round, of the other side and of this one. */
  readonly rounds: readonly (readonly [number[], number[]])[];
  readonly ratio: number;
}

/** @param sides the other one, and this one */
async function compare(sides: readonly [Side, Side], call: Call): Promise<Compared> {
  const rounds: [number[], number[]][] = [];
  for (let i = 0; i <= ROUNDS; i++) {
    const measured: [number[], number[]] = [[], []];
    for (const side of i % 2 === 0 ? [0, 1] : [1, 0])
      measured[side] = await round(sides[side]!, call, i * CALLS);
    if (i > 0) rounds.push(measured); // the first only warms up
  }
  return { rounds, ratio: median(rounds.map(([other, ours]) => ours[0]! / other[0]!)) };
}

/** All calls, with the sides started in this order. */
async function compareAll(order: readonly string[]): Promise<Compared[]> {
  const started = new Map<string, Side>();
  try {
    for (const root of order) started.set(root, await begin(root));
    const sides = [started.get(other)!, started.get(ours)!] as const;
    const all: Compared[] = [];
    for (const call of Object.values(wanted)) all.push(await compare(sides, call));
    return all;
  } finally {
    for (const { client, vstore } of started.values()) {
      client.disconnect();
      await vstore.stop();
    }
  }
}

function rowOf(name: string, compared: readonly Compared[]): Row {
  const rounds = compared.flatMap((each) => each.rounds);
  const both = (what: number) =>
    [0, 1].map((side) => median(rounds.map((each) => each[side]![what]!)).toFixed(0)).join(" / ");
  const ratios = compared.map(({ ratio }) => ratio);
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  return {
    call: name,
    "p50 us, other / this": both(0),
    "this of other": mean.toFixed(2),
    "started second, first": ratios.map((ratio) => ratio.toFixed(2)).join(", "),
    "sidecar CPU us": both(1),
    "main thread us": both(2),
    "server CPU us": both(3),
  };
}

const [other, ours] = roots;
const times = [await compareAll([other, ours]), await compareAll([ours, other])];
const rows = Object.keys(wanted).map((name, at) =>
  rowOf(
    name,
    times.map((time) => time[at]!),
  ),
);
report({ workload: "paired", aim: "this checkout beside another one, in turn", rows });
