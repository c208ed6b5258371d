/**
 * The exact nearest neighbours, by looking at every vector: plain loops of their own, so that no engine's kernel judges
 * itself. Ranked by a number that orders like the metric: the cosine, or the negative squared distance.
 */
import type { Metric } from "../../src/engine/options.ts";
import { type Matrix, row } from "./matrix.ts";
import { K } from "./settings.ts";

/** Rows of the K nearest of each query, nearest first; shape (queries x K). */
export function groundTruth(base: Matrix, queries: Matrix, metric: Metric): Uint32Array {
  const squares = Float64Array.from({ length: base.rows }, (_, i) => dot(row(base, i), row(base, i)));
  const truth = new Uint32Array(queries.rows * K);
  for (let i = 0; i < queries.rows; i++) {
    truth.set(nearestRows(base, row(queries, i), scorer(metric, squares)), i * K);
  }
  return truth;
}

/** The share of the true neighbours that was found. */
export function recall(truth: Uint32Array, found: Uint32Array): number {
  let hits = 0;
  for (let at = 0; at < truth.length; at += K) {
    const wanted = new Set(truth.subarray(at, at + K));
    for (const neighbour of found.subarray(at, at + K)) if (wanted.has(neighbour)) hits++;
  }
  return hits / truth.length;
}

type Score = (dot: number, row: number) => number;

/** Terms that are the same for all rows are left out. */
function scorer(metric: Metric, squares: Float64Array): Score {
  if (metric === "COSINE") return (product, row) => product / Math.sqrt(squares[row]!);
  return (product, row) => 2 * product - squares[row]!;
}

function nearestRows(base: Matrix, query: Float32Array, score: Score): number[] {
  const best: { row: number; score: number }[] = [];
  for (let i = 0; i < base.rows; i++) {
    const value = score(dot(query, base.data, i * base.dimensions), i);
    if (best.length === K && value <= best[K - 1]!.score) continue;
    const place = best.findIndex((other) => other.score < value);
    best.splice(place < 0 ? best.length : place, 0, { row: i, score: value });
    if (best.length > K) best.pop();
  }
  return best.map(({ row }) => row);
}

/** Four sums, so that an addition need not wait for the one before. */
function dot(a: Float32Array, b: Float32Array, at = 0): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const quads = a.length & ~3;
  for (let i = 0; i < quads; i += 4) {
    s0 += a[i]! * b[at + i]!;
    s1 += a[i + 1]! * b[at + i + 1]!;
    s2 += a[i + 2]! * b[at + i + 2]!;
    s3 += a[i + 3]! * b[at + i + 3]!;
  }
  for (let i = quads; i < a.length; i++) s0 += a[i]! * b[at + i]!;
  return s0 + s1 + s2 + s3;
}
