/**
 * Opening a saved graph of a million vectors, as every start does: mapping it, and which slots are alive; then what
 * follows in the background, comparing it with its checksums on the way into memory. It is built with few candidates,
 * which makes a graph of the same size sooner.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { generator, randomVector } from "../harness/random.ts";
import { NativeGraph } from "../src/engine/index/native-addon.ts";
import { median, type Row, report } from "./harness.ts";

const VECTORS = 1_000_000;
const BATCH = 50_000;
const ROUNDS = 5;
const OPTIONS = {
  dimensions: 100,
  metric: "COSINE",
  M: 16,
  efConstruction: 16,
  quantization: "INT8",
} as const;

async function saveGraph(path: string): Promise<void> {
  const graph = new NativeGraph(OPTIONS);
  const random = generator(1);
  for (let from = 0; from < VECTORS; from += BATCH) {
    graph.addSegment(from, randomVector(random, BATCH * OPTIONS.dimensions));
    setLive(graph, from, from + BATCH);
    await graph.add(from, from + BATCH);
  }
  await graph.save(path);
  graph.close();
}

function setLive(graph: NativeGraph, from: number, to: number): void {
  for (let slot = from; slot < to; slot++) graph.setLive(slot);
}

async function milliseconds(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function loadOnce(path: string): Promise<number[]> {
  let graph: NativeGraph | undefined;
  const load = await milliseconds(async () => {
    graph = await NativeGraph.load(path, OPTIONS);
  });
  const alive = await milliseconds(() => setLive(graph!, 0, VECTORS));
  const proof = await milliseconds(() => graph!.prove(false));
  graph!.close();
  return [load, alive, load + alive, proof];
}

const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
try {
  const path = `${directory}/graph`;
  await saveGraph(path);
  const rounds: number[][] = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push(await loadOnce(path));
  const rows = ["graph", "who is alive", "ready", "checksums, in the background"].map((what, at): Row => {
    return { what, ms: Math.round(median(rounds.map((round) => round[at]!))) };
  });
  report({ workload: "index-load", aim: "1 M x 100 in less than 1,000 ms, from the page cache", rows });
} finally {
  fs.rmSync(directory, { recursive: true });
}
