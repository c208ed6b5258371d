/** Rows that one MINSERT takes: their vectors lie one after the other, as the command sends them. */
import type { Row } from "./row.ts";

/** Up to so many the sidecar runs a MINSERT in one turn of its event loop. */
const batchRowsMax = 500;
const batchBytesMax = 1024 * 1024;

export class Batch {
  readonly #rows: Row[] = [];
  readonly #vectors: Buffer;
  readonly #components: Float32Array;
  readonly #dimensions: number;
  readonly #rowsMax: number;
  #textBytes = 0;

  constructor(dimensions: number) {
    this.#dimensions = dimensions;
    this.#rowsMax = Math.max(1, Math.min(batchRowsMax, Math.floor(batchBytesMax / (4 * dimensions))));
    this.#components = new Float32Array(this.#rowsMax * dimensions);
    this.#vectors = Buffer.from(this.#components.buffer);
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  get isFull(): boolean {
    return this.#rows.length === this.#rowsMax || this.#textBytes >= batchBytesMax;
  }

  /** @returns false, and takes nothing, when a component is no finite number */
  add(row: Row): boolean {
    const { vector } = row;
    const start = this.#rows.length * this.#dimensions;
    for (let i = 0; i < vector.length; i++) {
      if (!Number.isFinite(vector[i])) return false;
      this.#components[start + i] = vector[i]!;
    }
    this.#rows.push(row);
    this.#textBytes += row.attributes?.length ?? 0;
    return true;
  }

  clear(): void {
    this.#rows.length = 0;
    this.#textBytes = 0;
  }

  /** The words of a MINSERT of the rows from `start` to `end`. */
  words(start = 0, end = this.#rows.length): (string | Buffer)[] {
    const rows = this.#rows.slice(start, end);
    const rowBytes = 4 * this.#dimensions;
    const vectors = this.#vectors.subarray(start * rowBytes, end * rowBytes);
    const words = [String(rows.length), ...rows.map(({ key }) => key), "FP32", vectors];
    if (rows.every(({ attributes }) => attributes === undefined)) return words;
    return [...words, "SETATTR", ...rows.map(({ attributes = "" }) => attributes)];
  }
}
