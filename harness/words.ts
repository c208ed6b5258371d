/** The word vectors of examples/words, and the split that recall is measured on: every 50th word is a query. */
import * as fs from "node:fs";

const directory = new URL("../examples/words/", import.meta.url);

export const DIMENSIONS = 100;
const QUERY_EVERY = 50;

export interface Words {
  readonly words: readonly string[];
  /** Shape (words.length x DIMENSIONS). */
  readonly vectors: Float32Array;
  vector(row: number): Float32Array;
  /** Rows that are stored, and rows that are only queries. */
  readonly base: readonly number[];
  readonly queries: readonly number[];
}

export function loadWords(): Words {
  const bytes = fs.readFileSync(new URL("words-10k.f32", directory));
  const vectors = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const words = fs.readFileSync(new URL("words-10k.txt", directory), "utf8").trimEnd().split("\n");
  const rows = words.map((_, row) => row);
  return {
    words,
    vectors,
    vector: (row) => vectors.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS),
    base: rows.filter((row) => row % QUERY_EVERY !== 0),
    queries: rows.filter((row) => row % QUERY_EVERY === 0),
  };
}
