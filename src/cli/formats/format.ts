/** The interface of a file format to `vstore import` and `vstore export`. */
import type { BadRow, Row } from "../../bridge/transfer/row.ts";
import type { Mark, Marks } from "../transfer/marks.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteTarget } from "./byte-target.ts";
import type { KeySupply } from "./key-supply.ts";

export const formatNames = [
  "npy",
  "npz",
  "fvecs",
  "bvecs",
  "ivecs",
  "jsonl",
  "csv",
  "parquet",
  "arrow",
] as const;
export type FormatName = (typeof formatNames)[number];

/** Rows that were read together. */
export type Page = readonly (Row | BadRow)[];

export interface Input {
  /** Of the file's own header. */
  readonly dimensions?: number;
  /** Rows in it, where its header says so. */
  readonly rows?: number;
  /** Which columns become what, in one line. */
  readonly says: string;
  /** Whether `place` counts lines or rows. */
  readonly unit: "line" | "row";
  /** Of another store: where it can go on. */
  readonly marks?: Marks;
  /** @throws Error when the file cannot be read on */
  pages(): AsyncIterable<Page>;
}

/** Which columns become what. */
export interface Choice {
  readonly key?: string | undefined;
  readonly vector?: string | undefined;
  /** Names, or "*" for every other column. */
  readonly attributes?: readonly string[] | undefined;
  /** Whether keys get the expiry that the input says. */
  readonly expireTimes: boolean;
  /** Keys of rows that have none of their own. */
  readonly keys: KeySupply;
  /** Rows at the beginning that are passed over. */
  readonly skip: number;
  /** Where another store is to go on; undefined where no later import has to, so that its order does not matter. */
  readonly goesOn?: Mark | undefined;
}

export interface Shape {
  readonly dimensions: number;
  readonly hasAttributes: boolean;
  readonly hasExpireTimes: boolean;
}

export interface Output {
  /** @throws RowFault, before anything of the row is written, when the format cannot hold it */
  write(row: Row): Promise<void> | undefined;
  finish(): Promise<void>;
  /** Lets go of everything, finished or not. */
  close?(): Promise<void>;
}

export interface Format {
  /** Endings of the names of its files. */
  readonly endings: readonly string[];
  /** Whether a row has a key of its own in it. */
  readonly hasKeys: boolean;
  /** Whether it has a place for the time at which a key expires. */
  readonly hasExpireTimes?: true;
  /** Cannot be read from a pipe. */
  readonly readsFileOnly?: true;
  /** Cannot be written to a pipe. */
  readonly writesFileOnly?: true;
  /** Its name where a library decodes it, which damage may lead anywhere: it is read in a thread that can be ended. */
  readonly decodedApartAs?: string;
  read(source: ByteReader, choice: Choice): Promise<Input>;
  write(target: ByteTarget, shape: Shape): Promise<Output> | Output;
}

/** A fault of one row; it does not concern the others. */
export class RowFault extends Error {}

/**
 * Runs code of a library that decodes a format. Of damage it may speak as of an error of its own.
 *
 * @throws Error that names the format
 */
export async function decoding<T>(format: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unreadable(format, (error as Error).message, error);
  }
}

export const unreadable = (format: string, why: string, cause?: unknown) =>
  new Error(`it is no whole ${format} file, or one that cannot be read: ${why}`, { cause });

/** A page of rows that are made one by one; a RowFault makes a bad row of that one. */
export function pageOf<T>(
  items: readonly T[],
  place: (item: T) => { position: number; place: number },
  toRow: (item: T) => Omit<Row, "position" | "place">,
): Page {
  return items.map((item): Row | BadRow => {
    const at = place(item);
    try {
      return { ...at, ...toRow(item) };
    } catch (error) {
      if (!(error instanceof RowFault)) throw error;
      return { ...at, fault: error.message };
    }
  });
}
