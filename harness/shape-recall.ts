/** How much of a shape of data a store's index finds, against its own exact search. */
import * as fs from "node:fs";
import * as os from "node:os";
import type { IndexChoice } from "../src/engine/index/kinds.ts";
import { MmapVectorStore } from "../src/engine/library/mmap-vector-store.ts";
import type { CollectionOptions, Quantization } from "../src/engine/options.ts";
import { generator } from "./random.ts";
import type { Shape } from "./shapes.ts";

const K = 10;

export interface ShapeSettings {
  readonly rows: number;
  /** Queries of the same shape that are not stored; as many stored vectors are queried too. */
  readonly queries: number;
  readonly seed: number;
  readonly index: IndexChoice;
  /** Of the vectors that have to find themselves: each, or every so many. */
  readonly selfStep?: number;
}

export interface ShapeFigures {
  /** Of the 10 nearest, equal distances counted as right. */
  readonly recall: number;
  /** Share of the stored vectors for which a search of one, within their own distance, finds something. */
  readonly selfFound: number;
  readonly milliseconds: number;
}

/** Candidates that the bars allow. */
export function efOf(quantization: Quantization): number {
  return quantization === "INT8" || quantization === "F16" || quantization === "F32" ? 200 : 500;
}

export async function measureShape(
  shape: Shape,
  options: Pick<CollectionOptions, "dimensions" | "metric" | "quantization">,
  { rows, queries, seed, index, selfStep = 1 }: ShapeSettings,
): Promise<ShapeFigures> {
  const all = shape.make(generator(seed), options.dimensions, rows + queries);
  const asked = all.splice(rows);
  const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-shapes-`);
  const store = await MmapVectorStore.open(directory, options, undefined, index);
  try {
    for (const [i, row] of all.entries()) store.insert(String(i), row);
    await store.buildIndex();
    const ef = efOf(options.quantization);
    const stored = asked.map((_, i) => all[Math.floor((i * rows) / asked.length)]!);
    const { recall, milliseconds } = await measureRecall(store, [...asked, ...stored], ef);
    const selves = all.filter((_, i) => i % selfStep === 0);
    const found = await Promise.all(selves.map((row) => findsItself(store, row, ef)));
    return { recall, milliseconds, selfFound: found.filter(Boolean).length / selves.length };
  } finally {
    await store.close();
    fs.rmSync(directory, { recursive: true });
  }
}

async function measureRecall(store: MmapVectorStore, queries: readonly Float32Array[], ef: number) {
  let hits = 0;
  let milliseconds = 0;
  for (const query of queries) {
    const exact = await store.search(query, { k: K, exact: true });
    const start = performance.now();
    const found = await store.search(query, { k: K, ef });
    milliseconds += performance.now() - start;
    hits += found.filter(({ distance }) => distance <= exact.at(-1)!.distance).length;
  }
  return { recall: hits / (K * queries.length), milliseconds: milliseconds / queries.length };
}

/** COSINE and L2: WITHIN 0. IP: within the distance that an exact search shows for the vector itself. */
async function findsItself(store: MmapVectorStore, row: Float32Array, ef: number): Promise<boolean> {
  const within = store.metric === "IP" ? 1 - row.reduce((sum, x) => sum + x * x, 0) : 0;
  const slack = store.metric === "IP" ? Math.abs(within) * 1e-12 : 0;
  const found = await store.search(row, { k: 1, ef, within: within + slack });
  return found.length === 1;
}
