/**
 * The distances of DESIGN: COSINE 1 − cos, L2 the Euclidean distance, IP 1 − dot; computed in float64 from
 * float32 rows, the same way wherever a distance is shown. Four accumulators keep the additions independent.
 */
import type { Metric } from "../options.ts";

/** Distance between the query (dimensions) and the row that begins at rows[start]. */
export type Distance = (rows: Float32Array, start: number) => number;

/** The distance to one query. Everything that depends on the query alone is computed beforehand. */
export function distanceTo(query: Float32Array, metric: Metric): Distance {
  switch (metric) {
    case "COSINE": {
      const { square } = products(query, query, 0);
      return (rows, start) => cosine(query, square, rows, start);
    }
    case "L2":
      return (rows, start) => euclidean(query, rows, start);
    case "IP":
      return (rows, start) => 1 - dot(query, rows, start);
  }
}

/**
 * False when a component is NaN or infinite: it would be the sum. Finite float32 cannot overflow a float64 sum.
 * Every insert passes here, and nothing is cheaper than one addition a component.
 */
export function allFinite(vector: Float32Array): boolean {
  const blocks = vector.length & ~3;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i < blocks; i += 4) {
    a += vector[i]!;
    b += vector[i + 1]!;
    c += vector[i + 2]!;
    d += vector[i + 3]!;
  }
  for (; i < vector.length; i++) a += vector[i]!;
  return Number.isFinite(a + b + (c + d));
}

/** True when the vector has no direction. */
export function isZero(vector: Float32Array): boolean {
  return vector.every((component) => component === 0);
}

function dot(query: Float32Array, rows: Float32Array, start: number): number {
  const length = query.length;
  const blocks = length & ~3;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i < blocks; i += 4) {
    a += query[i]! * rows[start + i]!;
    b += query[i + 1]! * rows[start + i + 1]!;
    c += query[i + 2]! * rows[start + i + 2]!;
    d += query[i + 3]! * rows[start + i + 3]!;
  }
  for (; i < length; i++) a += query[i]! * rows[start + i]!;
  return a + b + (c + d);
}

/** The root of a square is exact, so a vector is at distance 0 from itself: dot and both squares are one number. */
function cosine(query: Float32Array, querySquare: number, rows: Float32Array, start: number): number {
  const { dot, square } = products(query, rows, start);
  // Rounding may put the cosine of two vectors of the same direction a little above 1.
  return Math.max(0, 1 - dot / Math.sqrt(querySquare * square));
}

/** Query · row and row · row, summed up in one order. */
function products(query: Float32Array, rows: Float32Array, start: number): { dot: number; square: number } {
  const length = query.length;
  const blocks = length & ~1;
  let dotA = 0;
  let dotB = 0;
  let squareA = 0;
  let squareB = 0;
  let i = 0;
  for (; i < blocks; i += 2) {
    const x = rows[start + i]!;
    const y = rows[start + i + 1]!;
    dotA += query[i]! * x;
    dotB += query[i + 1]! * y;
    squareA += x * x;
    squareB += y * y;
  }
  for (; i < length; i++) {
    dotA += query[i]! * rows[start + i]!;
    squareA += rows[start + i]! * rows[start + i]!;
  }
  return { dot: dotA + dotB, square: squareA + squareB };
}

function euclidean(query: Float32Array, rows: Float32Array, start: number): number {
  const length = query.length;
  const blocks = length & ~1;
  let a = 0;
  let b = 0;
  let i = 0;
  for (; i < blocks; i += 2) {
    const x = query[i]! - rows[start + i]!;
    const y = query[i + 1]! - rows[start + i + 1]!;
    a += x * x;
    b += y * y;
  }
  for (; i < length; i++) a += (query[i]! - rows[start + i]!) ** 2;
  return Math.sqrt(a + b);
}
