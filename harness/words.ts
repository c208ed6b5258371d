/** The word vectors of examples/words, and the split that recall is measured on: every 50th word is a query. */
import { readWordVectors, type WordVectors, wordDimensions } from "../src/bridge/client/word-vectors.ts";

export const DIMENSIONS = wordDimensions;
const QUERY_EVERY = 50;

export interface Words extends WordVectors {
  vector(row: number): Float32Array;
  /** Rows that are stored, and rows that are only queries. */
  readonly base: readonly number[];
  readonly queries: readonly number[];
}

export function loadWords(): Words {
  const { words, vectors } = readWordVectors();
  const rows = words.map((_, row) => row);
  return {
    words,
    vectors,
    vector: (row) => vectors.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS),
    base: rows.filter((row) => row % QUERY_EVERY !== 0),
    queries: rows.filter((row) => row % QUERY_EVERY === 0),
  };
}
