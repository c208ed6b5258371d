/**
 * What each QUANT costs and gives: memory of the graph, building, and searches at the EF that reaches a recall@10 of
 * 0.95, all in one process and in turns. Rates are per second of the processor's time, so that they hold, about, on a
 * machine that others use too. VECTORS, DIMENSIONS, EFS and QUANTS (lists) narrow it.
 */
import type { GraphSearchResults } from "../src/engine/index/native-addon.ts";
import { NativeGraph } from "../src/engine/index/native-addon.ts";
import { type Quantization, quantizations } from "../src/engine/options.ts";
import { type Row, report } from "./harness.ts";
import { clustered } from "./search/clustered.ts";
import { type Matrix, slice } from "./search/matrix.ts";

const K = 10;
const ROUNDS = 5;
const QUERIES = 200;
const list = (name: string, all: readonly string[]) => process.env[name]?.split(",") ?? all;
const vectors = Number(process.env.VECTORS ?? 20_000);
const dimensions = Number(process.env.DIMENSIONS ?? 768);
const efs = list("EFS", ["16", "32", "64", "128", "256"]).map(Number);
const quants = quantizations.filter((each) => list("QUANTS", quantizations).includes(each));

interface Subject {
  readonly quantization: Quantization;
  readonly graph: NativeGraph;
  readonly buildRate: number;
}

interface Passed {
  readonly rate: number;
  readonly recall: number;
}

function secondsSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
}

/** What slows a pass down is not its own doing. */
const best = (passes: readonly Passed[]) => Math.max(...passes.map(({ rate }) => rate));

async function subjectOf(quantization: Quantization, base: Matrix): Promise<Subject> {
  const graph = new NativeGraph({ dimensions, metric: "COSINE", M: 16, efConstruction: 200, quantization });
  graph.addSegment(0, base.data);
  for (let slot = 0; slot < base.rows; slot++) graph.setLive(slot);
  const start = process.cpuUsage();
  await graph.add(0, base.rows);
  return { quantization, graph, buildRate: base.rows / secondsSince(start) };
}

async function pass(
  graph: NativeGraph,
  queries: Matrix,
  ef: number,
  truth: readonly number[][],
): Promise<Passed> {
  const options = { k: K, ef, slots: vectors, watermark: vectors };
  let hits = 0;
  const start = process.cpuUsage();
  for (let i = 0; i < queries.rows; i++) {
    const { slots } = await graph.search(slice(queries, i, i + 1).data, options);
    hits += slots.reduce((sum, slot) => sum + (truth[i]!.includes(slot) ? 1 : 0), 0);
  }
  const rate = queries.rows / secondsSince(start);
  return { rate, recall: hits / (K * queries.rows) };
}

const exactly = { k: K, ef: K, exact: true, slots: vectors, watermark: vectors };
const slotsOf = ({ slots }: GraphSearchResults, i: number) => [...slots.subarray(i * K, (i + 1) * K)];

const all = clustered(vectors + QUERIES, dimensions, 1);
const [base, queries] = [slice(all, 0, vectors), slice(all, vectors, all.rows)];
const subjects: Subject[] = [];
for (const quantization of quants) subjects.push(await subjectOf(quantization, base));
const exact = await subjects[0]!.graph.search(queries.data, exactly);
const truth = Array.from({ length: QUERIES }, (_, i) => slotsOf(exact, i));

const rows: Row[] = [];
for (const ef of efs) {
  const passes = new Map(quants.map((each) => [each, [] as Passed[]]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { quantization, graph } of subjects) {
      const passed = await pass(graph, queries, ef, truth);
      if (round > 0) passes.get(quantization)!.push(passed);
    }
  }
  const first = best(passes.get(quants[0]!)!);
  for (const { quantization, graph, buildRate } of subjects) {
    const passed = passes.get(quantization)!;
    const rate = best(passed);
    rows.push({
      QUANT: quantization,
      "bytes/vector": Math.round(graph.bytes / vectors),
      "built/CPU s": Math.round(buildRate),
      EF: ef,
      "recall@10": passed[0]!.recall.toFixed(3),
      "searches/CPU s": Math.round(rate),
      [`of ${quants[0]}`]: (rate / first).toFixed(2),
    });
  }
}
report({ workload: "quantizations", aim: `${vectors} x ${dimensions}; INT4 1.2 times INT8's rate`, rows });
