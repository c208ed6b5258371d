/** A row: one key with its vector and attributes, between a file and a collection. */

export interface Row {
  /** How many rows of the input stand before it, bad ones included. */
  readonly position: number;
  /** Where a person finds it: its line in a text, else its number, both from 1. */
  readonly place: number;
  readonly key: string | Buffer;
  readonly vector: Float32Array;
  /** JSON text; empty for none. Undefined leaves those that the key has. */
  readonly attributes?: string | undefined;
  /** In ms since 1970; undefined for never. */
  readonly expiresAt?: number | undefined;
}

/** A row that cannot be taken, and why. */
export interface BadRow {
  readonly position: number;
  readonly place: number;
  readonly fault: string;
}

export const isBad = (row: Row | BadRow): row is BadRow => "fault" in row;
