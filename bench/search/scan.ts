/**
 * What vstore does without its graph: the exact scan, beside the plain reading of as many bytes, and a search while
 * everything that was inserted still sits in the tail. Indexing begins by itself then and shortens the tail; its
 * length is told with the result.
 *
 * The scan is measured twice: on SIZE vectors, which the processor's caches may hold, and on as many as they cannot.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { Collection } from "../../src/engine/collection.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { FIRST_ID } from "../../src/engine/log-id.ts";
import { type CollectionOptions, resolveOptions } from "../../src/engine/options.ts";
import { limits } from "../../src/limits.ts";
import { median, percentile } from "../harness.ts";
import { clustered } from "./clustered.ts";
import { keyOf, rowOf } from "./engines/row-keys.ts";
import { type Matrix, row, slice } from "./matrix.ts";
import { MEMORY_BYTES, readingRate } from "./reading.ts";
import { K } from "./settings.ts";
import { groundTruth, recall } from "./truth.ts";

const DIMENSIONS = 128;
const SEED = 128;
const QUERIES = 100;
const METRIC = "L2";
const VECTORS_BEYOND_CACHE = MEMORY_BYTES / DIMENSIONS / Float32Array.BYTES_PER_ELEMENT;

/** Settings that are not the defaults. */
type Graph = Partial<Pick<CollectionOptions, "M" | "efConstruction">>;
/** A graph has to exist, so that none is built meanwhile; a scan does not use it. */
const CHEAPEST_GRAPH: Graph = { M: limits.mMin, efConstruction: limits.efConstructionMin };

export interface Scanned {
  readonly dimensions: number;
  readonly tail: Tail;
  readonly exact: Exact;
  readonly exactBeyondCache: Exact;
}

interface Tail {
  readonly vectors: number;
  /** Of searches one at a time. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly recall: number;
  /** Vectors not indexed before the first search, and after the last. */
  readonly lengths: readonly [number, number];
}

interface Exact {
  readonly vectors: number;
  readonly p50Ms: number;
  readonly recall: number;
  readonly GBs: number;
  /** Plain reading of as many bytes, on all cores and on one. */
  readonly readGBs: number;
  readonly readOneCoreGBs: number;
}

interface Searched {
  readonly found: Uint32Array;
  readonly latenciesMs: readonly number[];
}

/** @param size vectors of the tail, and of the smaller scan */
export async function scan(size: number): Promise<Scanned> {
  return {
    dimensions: DIMENSIONS,
    ...(await withVectors(size, {}, async (collection, base, queries, truth) => ({
      tail: await searchTail(collection, base, queries, truth),
      exact: await searchAll(collection, base, queries, truth),
    }))),
    exactBeyondCache: await withVectors(
      VECTORS_BEYOND_CACHE,
      CHEAPEST_GRAPH,
      async (collection, base, queries, truth) => {
        await insert(collection, base);
        return searchAll(collection, base, queries, truth);
      },
    ),
  };
}

/** An empty collection, and what is to be inserted and asked. */
async function withVectors<T>(
  size: number,
  graph: Graph,
  work: (collection: Collection, base: Matrix, queries: Matrix, truth: Uint32Array) => Promise<T>,
): Promise<T> {
  const vectors = clustered(size + QUERIES, DIMENSIONS, SEED);
  const [base, queries] = [slice(vectors, 0, size), slice(vectors, size, size + QUERIES)];
  const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
  const collection = await create(directory, graph);
  try {
    return await work(collection, base, queries, groundTruth(base, queries, METRIC));
  } finally {
    await collection.abandon();
    fs.rmSync(directory, { recursive: true });
  }
}

async function create(directory: string, graph: Graph): Promise<Collection> {
  const options = resolveOptions({ dimensions: DIMENSIONS, metric: METRIC, ...graph });
  await createFiles(directory, "bench", options, FIRST_ID);
  return Collection.open(directory, console.warn, "native");
}

/** One insertion of everything, so that nothing is indexed when the first search begins. */
async function insert(collection: Collection, base: Matrix): Promise<void> {
  await collection.reserve(base.rows);
  const keys = Array.from({ length: base.rows }, (_, i) => keyOf(i));
  collection.insertBatch(keys, base.data);
}

async function searchTail(
  collection: Collection,
  base: Matrix,
  queries: Matrix,
  truth: Uint32Array,
): Promise<Tail> {
  await insert(collection, base);
  const before = collection.tailLength;
  const { found, latenciesMs } = await search(collection, queries, false);
  return {
    vectors: base.rows,
    p50Ms: median(latenciesMs),
    p99Ms: percentile(latenciesMs, 99),
    recall: recall(truth, found),
    lengths: [before, collection.tailLength],
  };
}

async function searchAll(
  collection: Collection,
  base: Matrix,
  queries: Matrix,
  truth: Uint32Array,
): Promise<Exact> {
  await collection.build();
  const { found, latenciesMs } = await search(collection, queries, true);
  const bytes = base.data.byteLength;
  return {
    vectors: base.rows,
    p50Ms: median(latenciesMs),
    recall: recall(truth, found),
    GBs: bytes / median(latenciesMs) / 1e6,
    readGBs: (await readingRate(bytes, os.availableParallelism())) / 1e9,
    readOneCoreGBs: (await readingRate(bytes, 1)) / 1e9,
  };
}

async function search(collection: Collection, queries: Matrix, exact: boolean): Promise<Searched> {
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
