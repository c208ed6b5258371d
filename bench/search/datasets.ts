/**
 * The data sets by name, and their files below .cache: base vectors, held-out queries and the exact answers, made once
 * for each size. The rule of the split: of the first SIZE + queries vectors, spread evenly, every n-th is a query.
 */
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import type { Metric } from "../../src/engine/options.ts";
import { clustered } from "./clustered.ts";
import { GLOVE_DIMENSIONS, loadGlove } from "./glove.ts";
import { bytesOf, type Matrix, matrix, readMatrix, row, writeWhole } from "./matrix.ts";
import { queriesOf } from "./settings.ts";
import { groundTruth } from "./truth.ts";

export const CACHE = fileURLToPath(new URL(".cache", import.meta.url));

export interface Dataset {
  readonly name: string;
  readonly title: string;
  readonly dimensions: number;
  readonly metric: Metric;
  /** At least so many vectors. */
  make(rows: number): Matrix;
}

const synthetic = (dimensions: number, metric: Metric, seed: number): Dataset => ({
  name: `clustered-${dimensions}`,
  title: `clustered synthetic, ${dimensions} d, ${metric}`,
  dimensions,
  metric,
  make: (rows) => clustered(rows, dimensions, seed),
});

const all: readonly Dataset[] = [
  {
    name: "glove-100",
    title: "GloVe words, 100 d, COSINE",
    dimensions: GLOVE_DIMENSIONS,
    metric: "COSINE",
    make: () => loadGlove(CACHE),
  },
  synthetic(768, "COSINE", 768),
  synthetic(784, "L2", 784),
];

export const datasetNames: readonly string[] = all.map(({ name }) => name);

export function dataset(name: string): Dataset {
  return all.find((each) => each.name === name)!;
}

/** Where a set's parts of one size are. */
export interface Files {
  readonly base: string;
  readonly queries: string;
  readonly truth: string;
}

export function filesOf({ name }: Dataset, size: number): Files {
  const directory = `${CACHE}/${name}-${size}`;
  return {
    base: `${directory}/base.f32`,
    queries: `${directory}/queries.f32`,
    truth: `${directory}/truth.u32`,
  };
}

/** Makes the files that are not there yet. */
export function prepare(set: Dataset, size: number): void {
  const files = filesOf(set, size);
  if (fs.existsSync(files.truth)) return;
  fs.mkdirSync(`${CACHE}/${set.name}-${size}`, { recursive: true });
  const total = size + queriesOf(size);
  const vectors = set.make(total);
  if (vectors.rows < total) throw new Error(`${set.name} has ${vectors.rows} vectors, ${total} are needed`);
  const { base, queries } = split(vectors, size);
  writeWhole(files.base, bytesOf(base));
  writeWhole(files.queries, bytesOf(queries));
  console.error(`${set.name}: looking for the exact neighbours of ${queries.rows} queries`);
  writeWhole(files.truth, new Uint8Array(groundTruth(base, queries, set.metric).buffer));
}

export function readTruth(path: string): Uint32Array {
  return new Uint32Array(new Uint8Array(fs.readFileSync(path)).buffer);
}

export function readBase(set: Dataset, size: number): Matrix {
  return readMatrix(filesOf(set, size).base, set.dimensions);
}

export function readQueries(set: Dataset, size: number): Matrix {
  return readMatrix(filesOf(set, size).queries, set.dimensions);
}

function split(vectors: Matrix, size: number): { base: Matrix; queries: Matrix } {
  const { dimensions } = vectors;
  const queryCount = queriesOf(size);
  const base = new Float32Array(size * dimensions);
  const queries = new Float32Array(queryCount * dimensions);
  const isQuery = (i: number) =>
    Math.floor(((i + 1) * queryCount) / (size + queryCount)) >
    Math.floor((i * queryCount) / (size + queryCount));
  let [baseAt, queryAt] = [0, 0];
  for (let i = 0; i < size + queryCount; i++) {
    if (isQuery(i)) queries.set(row(vectors, i), queryAt++ * dimensions);
    else base.set(row(vectors, i), baseAt++ * dimensions);
  }
  return { base: matrix(base, dimensions), queries: matrix(queries, dimensions) };
}
