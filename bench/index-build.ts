/**
 * Building the index of SIZE vectors on all cores, and what searches of it find. The vectors differ in 32 directions,
 * more in some than in others, and a little in all, as learnt ones do. OTHER=<a built checkout> has the index of that
 * one built too, in turn with this one's, each in a process of its own.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { generator } from "../harness/random.ts";
import { normal } from "../harness/shapes.ts";
import type * as Addon from "../src/engine/index/native-addon.ts";
import { median, type Row, report } from "./harness.ts";

const SIZE = Number(process.env.SIZE ?? 1_000_000);
const DIMENSIONS = Number(process.env.DIMENSIONS ?? 128);
const ROUNDS = Number(process.env.ROUNDS ?? 1);
const QUERIES = 1_000;
const BATCH = 10_000;
const K = 10;
const EFS = [16, 32, 64, 128] as const;
const DIRECTIONS = 32;
const OPTIONS = {
  dimensions: DIMENSIONS,
  metric: "COSINE",
  M: 16,
  efConstruction: 200,
  quantization: "INT8",
} as const;

interface Built {
  /** Per second. */
  readonly rate: number;
  /** Of the processor, in µs for each vector. */
  readonly cpu: number;
  /** recall@10 for each of EFS. */
  readonly recalls: number[];
}

function vectors(): Float32Array {
  const next = normal(generator(1));
  const directions = Float32Array.from({ length: DIRECTIONS * DIMENSIONS }, next);
  const weights = Array.from({ length: DIRECTIONS }, (_, i) => 1 / Math.sqrt(1 + i / 4));
  const all = new Float32Array((SIZE + QUERIES) * DIMENSIONS);
  for (let row = 0; row < all.length; row += DIMENSIONS) {
    for (let j = 0; j < DIMENSIONS; j++) all[row + j] = 0.15 * next();
    for (const [i, weight] of weights.entries()) {
      const along = weight * next();
      for (let j = 0; j < DIMENSIONS; j++) all[row + j]! += along * directions[i * DIMENSIONS + j]!;
    }
  }
  return all;
}

async function build(Graph: typeof Addon.NativeGraph): Promise<Built> {
  const all = vectors();
  const graph = new Graph(OPTIONS);
  graph.addSegment(0, all.subarray(0, SIZE * DIMENSIONS));
  for (let slot = 0; slot < SIZE; slot++) graph.setLive(slot);
  const [began, before] = [performance.now(), process.cpuUsage()];
  for (let from = 0; from < SIZE; from += BATCH) await graph.add(from, Math.min(from + BATCH, SIZE));
  const [ms, { user, system }] = [performance.now() - began, process.cpuUsage(before)];
  const queries = all.subarray(SIZE * DIMENSIONS);
  const search = async (ef: number, exact = false) => {
    const { slots } = await graph.search(queries, { k: K, ef, exact, slots: SIZE, watermark: SIZE });
    return slots;
  };
  const nearest = await search(K, true);
  const recalls: number[] = [];
  for (const ef of EFS) recalls.push(share(await search(ef), nearest));
  graph.close();
  return { rate: (SIZE / ms) * 1_000, cpu: (user + system) / SIZE, recalls };
}

function share(found: ArrayLike<number>, nearest: ArrayLike<number>): number {
  let hits = 0;
  for (let query = 0; query < QUERIES; query++) {
    const right = new Set(Array.from({ length: K }, (_, i) => nearest[query * K + i]));
    for (let i = 0; i < K; i++) hits += Number(right.has(found[query * K + i]!));
  }
  return hits / (QUERIES * K);
}

/** Of another checkout; older ones have the file elsewhere. */
function graphOf(checkout: string): string {
  const engine = `${checkout}/dist/engine`;
  return [`${engine}/index/native-addon.js`, `${engine}/native-addon.js`].find(existsSync)!;
}

function inProcess(file: string): Built {
  const child = spawnSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url)], {
    env: { ...process.env, GRAPH: file },
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  return JSON.parse(child.stdout) as Built;
}

function row(what: string, built: readonly Built[]): Row {
  const recalls = EFS.map((ef, i) => [
    `EF ${ef}`,
    median(built.map(({ recalls }) => recalls[i]!)).toFixed(4),
  ]);
  return {
    what,
    "vectors/s": Math.round(median(built.map(({ rate }) => rate))),
    "CPU, µs": median(built.map(({ cpu }) => cpu)).toFixed(1),
    ...Object.fromEntries(recalls),
  };
}

if (process.env.GRAPH !== undefined) {
  const { NativeGraph } = (await import(process.env.GRAPH)) as typeof Addon;
  console.log(JSON.stringify(await build(NativeGraph)));
} else {
  const own = graphOf(fileURLToPath(new URL("..", import.meta.url)));
  const files = { "this index": own, ...(process.env.OTHER ? { OTHER: graphOf(process.env.OTHER) } : {}) };
  const built = Object.fromEntries(Object.keys(files).map((what) => [what, [] as Built[]]));
  for (let round = 0; round < ROUNDS; round++)
    for (const [what, file] of Object.entries(files)) built[what]!.push(inProcess(file));
  const rows = Object.entries(built).map(([what, each]) => row(what, each));
  report({ workload: "index-build", aim: "1.5 x the rate of b0e9629, recall not lower", rows });
}
