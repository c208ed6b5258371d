/**
 * The data of the filter workload: GloVe vectors with attributes of known selectivity, and the cells of its table. What
 * matches is independent of the vector, or near some of the queries, or far from them, or where two fields meet.
 */
import { generator } from "../../harness/random.ts";
import { dataset, prepare, readBase, readQueries } from "../search/datasets.ts";
import { type Matrix, row } from "../search/matrix.ts";

const SHARES = [1, 0.5, 0.2, 0.1, 0.04, 0.01, 0.001, 0.0001];
/** Queries from which attributes say how far a vector is, and the queries near each of them that are asked. */
const ANCHORS = 8;
const QUERIES_PER_ANCHOR = 25;

export interface Cell {
  readonly kind: string;
  /** Of the vectors that match. */
  readonly share: number;
  readonly filterOf: (anchor: number) => string;
}

export const cells: readonly Cell[] = [
  ...SHARES.map((share) => ({ kind: "independent", share, filterOf: () => `.any < ${share}` })),
  ...SHARES.map((share) => ({
    kind: "near the query",
    share,
    filterOf: (anchor: number) => `.far${anchor} < ${share}`,
  })),
  ...SHARES.map((share) => ({
    kind: "far from the query",
    share,
    filterOf: (anchor: number) => `.far${anchor} >= ${1 - share}`,
  })),
  { kind: "two fields of 20%", share: 0.04, filterOf: () => '.colour == "red" and .shop == "north"' },
];

export interface Question {
  readonly anchor: number;
  readonly query: Float32Array;
}

export interface Attributed {
  readonly base: Matrix;
  readonly questions: readonly Question[];
  /** The attributes of a row, as JSON. */
  attributesOf(row: number): string;
}

/** Shape (rows x dimensions), each row of length 1. */
function normalized({ data, dimensions }: Matrix): Float32Array {
  const out = new Float32Array(data.length);
  for (let at = 0; at < data.length; at += dimensions) {
    const part = data.subarray(at, at + dimensions);
    const length = Math.hypot(...part);
    out.set(
      part.map((component) => component / length),
      at,
    );
  }
  return out;
}

function products(rows: Float32Array, query: Float32Array): Float32Array {
  const { length } = query;
  return Float32Array.from({ length: rows.length / length }, (_, i) => {
    let sum = 0;
    for (let at = 0; at < length; at++) sum += query[at]! * rows[i * length + at]!;
    return sum;
  });
}

/** Of each row its place among all by distance, as a share. */
function places(similarities: Float32Array): Float32Array {
  const order = Uint32Array.from(similarities.keys()).sort((a, b) => similarities[b]! - similarities[a]!);
  const placed = new Float32Array(order.length);
  for (const [place, at] of order.entries()) placed[at] = place / order.length;
  return placed;
}

export function attributed(size: number): Attributed {
  const set = dataset("glove-100");
  prepare(set, size);
  const base = readBase(set, size);
  const queries = readQueries(set, size);
  const rows = normalized(base);
  const asked = normalized(queries);
  const { dimensions } = base;
  const random = generator(1);
  const questions: Question[] = [];
  const far: Float32Array[] = [];
  for (let anchor = 0; anchor < ANCHORS; anchor++) {
    const at = Math.floor(((anchor + 0.5) * queries.rows) / ANCHORS);
    const query = asked.subarray(at * dimensions, (at + 1) * dimensions);
    far.push(places(products(rows, query)));
    const near = places(products(asked, query));
    for (const [i, place] of near.entries()) {
      if (place * near.length < QUERIES_PER_ANCHOR) questions.push({ anchor, query: row(queries, i) });
    }
  }
  const any = Float64Array.from({ length: base.rows }, random);
  const words = Array.from({ length: base.rows }, () => [
    random() < 0.2 ? "red" : "blue",
    random() < 0.2 ? "north" : "south",
  ]);
  return {
    base,
    questions,
    attributesOf: (i) =>
      JSON.stringify({
        any: any[i],
        colour: words[i]![0],
        shop: words[i]![1],
        ...Object.fromEntries(far.map((places, anchor) => [`far${anchor}`, places[i]])),
      }),
  };
}
