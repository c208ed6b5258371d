/**
 * What vstore does without its graph: the exact scan, beside the plain reading of as many bytes, and a search while
 * everything that was inserted still sits in the tail. Indexing begins by itself then and shortens the tail; its
 * length is told with the result.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { Collection } from "../../src/engine/collection.ts";
import { FIRST_ID } from "../../src/engine/log-id.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { createFiles } from "../../src/engine/recovery.ts";
import { median, percentile } from "../harness.ts";
import { clustered } from "./clustered.ts";
import { keyOf, rowOf } from "./engines/row-keys.ts";
import { type Matrix, row, slice } from "./matrix.ts";
import { readingRate } from "./reading.ts";
import { K } from "./settings.ts";
import { groundTruth, recall } from "./truth.ts";

const DIMENSIONS = 128;
const SEED = 128;
const QUERIES = 100;
const METRIC = "L2";

export interface Scanned {
  readonly vectors: number;
  readonly dimensions: number;
  /** Of searches in the tail, one at a time. */
  readonly tailP50Ms: number;
  readonly tailP99Ms: number;
  readonly tailRecall: number;
  /** Vectors not indexed before the first of them, and after the last. */
  readonly tailLengths: readonly [number, number];
  readonly exactP50Ms: number;
  readonly exactRecall: number;
  readonly exactGBs: number;
  /** The same bytes, on all cores and on one. */
  readonly readGBs: number;
  readonly readOneCoreGBs: number;
}

export async function scan(size: number): Promise<Scanned> {
  const vectors = clustered(size + QUERIES, DIMENSIONS, SEED);
  const [base, queries] = [slice(vectors, 0, size), slice(vectors, size, size + QUERIES)];
  const truth = groundTruth(base, queries, METRIC);
  const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
  const collection = await create(directory);
  try {
    const tail = await searchTail(collection, base, queries);
    await collection.build();
    const exact = await searchAll(collection, queries, true);
    return {
      vectors: size,
      dimensions: DIMENSIONS,
      tailP50Ms: median(tail.latenciesMs),
      tailP99Ms: percentile(tail.latenciesMs, 99),
      tailRecall: recall(truth, tail.found),
      tailLengths: tail.lengths,
      exactP50Ms: median(exact.latenciesMs),
      exactRecall: recall(truth, exact.found),
      ...(await bandwidths(base.data.byteLength, median(exact.latenciesMs))),
    };
  } finally {
    await collection.abandon();
    fs.rmSync(directory, { recursive: true });
  }
}

async function create(directory: string): Promise<Collection> {
  await createFiles(directory, "bench", resolveOptions({ dimensions: DIMENSIONS, metric: METRIC }), FIRST_ID);
  return Collection.open(directory, console.warn, "native");
}

/** One insertion of everything, so that nothing is indexed when the first search begins. */
async function searchTail(collection: Collection, base: Matrix, queries: Matrix) {
  await collection.reserve(base.rows);
  collection.insertBatch(
    Array.from({ length: base.rows }, (_, i) => keyOf(i)),
    base.data,
  );
  const before = collection.tailLength;
  const answers = await searchAll(collection, queries, false);
  const lengths: readonly [number, number] = [before, collection.tailLength];
  return { ...answers, lengths };
}

async function searchAll(collection: Collection, queries: Matrix, exact: boolean) {
  const found = new Uint32Array(queries.rows * K);
  const latenciesMs: number[] = [];
  for (let i = 0; i < queries.rows; i++) {
    const start = performance.now();
    const hits = await collection.search(row(queries, i), { k: K, exact });
    latenciesMs.push(performance.now() - start);
    found.set(
      hits.map(({ key }) => rowOf(key)),
      i * K,
    );
  }
  return { found, latenciesMs };
}

async function bandwidths(bytes: number, scanMs: number) {
  return {
    exactGBs: bytes / scanMs / 1e6,
    readGBs: (await readingRate(bytes, os.availableParallelism())) / 1e9,
    readOneCoreGBs: (await readingRate(bytes, 1)) / 1e9,
  };
}
