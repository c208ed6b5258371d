/**
 * This checkout beside another one that is built: `OTHER=/path/to/it npx tsx bench/paired.ts`. Both run at the same
 * time and are called in turn, a few hundred calls each, so that what slows the machine down slows both. The side that
 * is started second may be a tenth slower than its like, so all is done twice, the other side first each time. Of each
 * call it tells the p50 of both, the ratio of each time and their mean, and the CPU time per call of both sidecars and
 * servers.
 */
import { Redis } from "ioredis";
import type { Vstore } from "../harness/sidecar.ts";
import { DIMENSIONS, loadWords } from "../harness/words.ts";
import { median, type Row, report } from "./harness.ts";
import { cpuUs, roots, serverPid, startFrom } from "./pairs.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 12);
const CALLS = 400;
const AT_ONCE = 16;
const BATCH = 100;

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
const search: Call = (client, i) => client.call("VSTORE.SEARCH", "words", "FP32", vector(i), "COUNT", 10);

const calls: Readonly<Record<string, Call>> = {
  CARD: (client) => client.call("VSTORE.CARD", "words"),
  SEARCH: search,
  [`SEARCH, ${AT_ONCE} at once`]: (client, i) =>
    Promise.all(Array.from({ length: AT_ONCE }, (_, j) => search(client, i * AT_ONCE + j))),
  INSERT: (client, i) => client.call("VSTORE.INSERT", "single", `k${i}`, "FP32", vector(i)),
  [`MINSERT by ${BATCH}`]: (client, i) => {
    const keys = Array.from({ length: BATCH }, (_, j) => `k${i * BATCH + j}`);
    return client.call("VSTORE.MINSERT", "many", BATCH, ...keys, "FP32", batch);
  },
};

async function begin(root: string): Promise<Side> {
  const vstore = await startFrom(root);
  const client = new Redis(vstore.url, { protocol: 2 });
  for (const name of ["words", "single", "many"])
    await client.call("VSTORE.CREATE", name, "DIM", String(DIMENSIONS));
  for (let i = 0; i < 10_000; i++) await client.call("VSTORE.INSERT", "words", `w${i}`, "FP32", vector(i));
  await client.call("VSTORE.BUILD", "words", "WAIT");
  return { vstore, client, server: await serverPid(client) };
}

/** The p50 of a round, and the CPU time per call of the sidecar and of the server, in microseconds. */
async function round({ vstore, client, server }: Side, call: Call, from: number): Promise<number[]> {
  const pids = [vstore.sidecar.pid, server];
  const before = pids.map(cpuUs);
  const times: number[] = [];
  for (let i = 0; i < CALLS; i++) {
    const start = performance.now();
    await call(client, from + i);
    times.push((performance.now() - start) * 1000);
  }
  return [median(times), ...pids.map((pid, i) => (cpuUs(pid) - before[i]!) / CALLS)];
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
    for (const call of Object.values(calls)) all.push(await compare(sides, call));
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
    "server CPU us": both(2),
  };
}

const [other, ours] = roots;
const times = [await compareAll([other, ours]), await compareAll([ours, other])];
const rows = Object.keys(calls).map((name, at) =>
  rowOf(
    name,
    times.map((time) => time[at]!),
  ),
);
report({ workload: "paired", aim: "this checkout beside another one, in turn", rows });
