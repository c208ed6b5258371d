/** What a manifest counts, as one sequence of bytes: its files in order, of each the bytes that count. */
import { type CountedFile, countedBytes, countedFiles } from "../disk/inventory.ts";
import type { Manifest } from "../disk/manifest.ts";

/** A part of one file. */
export interface Piece {
  /** Number of the file in the sequence. */
  readonly number: number;
  readonly position: number;
  readonly length: number;
}

export class Sequence {
  readonly files: readonly CountedFile[];
  readonly bytes: number;
  /** Of each file, where it begins in the sequence. */
  readonly #starts: readonly number[];

  constructor(manifest: Manifest) {
    this.files = countedFiles(manifest);
    this.bytes = countedBytes(manifest);
    let start = 0;
    this.#starts = this.files.map(({ bytes }) => {
      start += bytes;
      return start - bytes;
    });
  }

  startOf(number: number): number {
    return this.#starts[number] ?? this.bytes;
  }

  /** The pieces of which [at, at + length) consists. */
  pieces(at: number, length: number): Piece[] {
    const pieces: Piece[] = [];
    const end = Math.min(at + length, this.bytes);
    let number = this.#starts.findLastIndex((start) => start <= at);
    for (let next = at; next < end; number++) {
      const position = next - this.startOf(number);
      const bytes = Math.min(end, this.startOf(number + 1)) - next;
      if (bytes > 0) pieces.push({ number, position, length: bytes });
      next += bytes;
    }
    return pieces;
  }
}
