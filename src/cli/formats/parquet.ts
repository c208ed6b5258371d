/**
 * .parquet: a vector is a list of numbers, or float32 bytes. Read and written a piece at a time; the index of a file
 * stands at its end, so it cannot come from a pipe.
 */
import type { SchemaElement } from "hyparquet";
import type { Row } from "../../bridge/transfer/row.ts";
import { parquetCompressors, parquetReader, parquetWriter } from "../transfer/packages.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteTarget } from "./byte-target.ts";
import { optionalJson, textOrBytes, utf8Key } from "./cells.ts";
import { type Cells, Columns, expiresName } from "./columns.ts";
import {
  type Choice,
  decoding,
  type Format,
  type Input,
  type Output,
  type Page,
  type Shape,
} from "./format.ts";
import { bigExpiresAt, inGroups } from "./row-groups.ts";

/** Bytes of the rows that are decoded at a time, as the file counts them. */
const pieceBytes = 16 * 1024 * 1024;
/** Of rows that repeat each other, which take next to nothing in the file. */
const pieceRowsMax = 100_000;
/** Of a row group that we write. */
const groupMax = { rowsMax: 10_000, vectorBytesMax: 32 * 1024 * 1024 };

export const parquet: Format = {
  endings: [".parquet"],
  hasKeys: true,
  hasExpireTimes: true,
  readsFileOnly: true,
  decodedApartAs: "Parquet",
  read,
  write: open,
};

async function read(source: ByteReader, choice: Choice): Promise<Input> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetScan } = await parquetReader();
  const { compressors } = await parquetCompressors();
  const file = await asyncBufferFromFile(source.path!);
  const metadata = await decoding("Parquet", () => parquetMetadataAsync(file));
  const columns = new Columns(topLevel(metadata.schema), choice);
  const parsers = { stringFromBytes: (bytes: Uint8Array | undefined) => bytes && textOrBytes(bytes) };
  const wanted = { file, metadata, columns: [...columns.used], compressors, utf8: false, parsers };
  const scan = await decoding("Parquet", () => parquetScan(wanted));
  const rows = Number(metadata.num_rows);
  const bytes = metadata.row_groups.reduce((total, group) => total + Number(group.total_byte_size), 0);
  const bytesOfRow = Math.max(1, bytes / Math.max(1, rows));
  const rowsAtOnce = Math.max(1, Math.min(pieceRowsMax, Math.floor(pieceBytes / bytesOfRow)));
  async function* pages(): AsyncGenerator<Page> {
    for (const { rowStart, rowEnd } of scan.ranges) {
      for (let from = Math.max(rowStart, choice.skip); from < rowEnd; from += rowsAtOnce) {
        const to = Math.min(from + rowsAtOnce, rowEnd);
        const data = new Map<string, ArrayLike<unknown>>();
        for (const column of columns.used)
          data.set(
            column,
            await decoding("Parquet", () => scan.readColumn({ column, rowStart: from, rowEnd: to })),
          );
        yield await columns.page(from, to - from, (i) => new ParquetCells(data, i));
      }
    }
  }
  return { rows, unit: "row", says: columns.says, pages };
}

/** Names of the columns, not of what is inside lists and groups. */
function topLevel(schema: readonly SchemaElement[]): string[] {
  const names: string[] = [];
  const end = (at: number): number => {
    let next = at + 1;
    for (let child = 0; child < (schema[at]!.num_children ?? 0); child++) next = end(next);
    return next;
  };
  for (let at = 1; at < schema.length; at = end(at)) names.push(schema[at]!.name);
  return names;
}

class ParquetCells implements Cells {
  readonly #data: ReadonlyMap<string, ArrayLike<unknown>>;
  readonly #row: number;

  constructor(data: ReadonlyMap<string, ArrayLike<unknown>>, row: number) {
    this.#data = data;
    this.#row = row;
  }

  cell(column: string): unknown {
    return this.#data.get(column)![this.#row];
  }

  json(column: string): string | undefined {
    return optionalJson(this.cell(column), column);
  }
}

async function open(target: ByteTarget, shape: Shape): Promise<Output> {
  const { ByteWriter, ParquetWriter } = await parquetWriter();
  const writer = new ByteWriter();
  const flush = async () => {
    const bytes = writer.getBytes().slice();
    writer.index = 0;
    await target.write(bytes);
  };
  const parquet = new ParquetWriter({ writer: Object.assign(writer, { flush }), schema: schemaOf(shape) });
  const writeGroup = async (group: readonly Row[]) => {
    const columnData = [
      { name: "key", data: group.map(({ key }) => utf8Key(key)) },
      { name: "vector", data: group.map(({ vector }) => Array.from(vector)), encoding: "PLAIN" as const },
      ...(shape.hasAttributes
        ? [{ name: "attributes", data: group.map(({ attributes }) => attributes || null) }]
        : []),
      ...(shape.hasExpireTimes ? [{ name: expiresName, data: group.map(bigExpiresAt) }] : []),
    ];
    await parquet.write({ columnData, rowGroupSize: group.length });
  };
  return inGroups(groupMax, shape, writeGroup, async () => {
    parquet.finish();
    await flush();
  });
}

function schemaOf({ hasAttributes, hasExpireTimes }: Shape): SchemaElement[] {
  const optional: SchemaElement[] = [
    ...(hasAttributes ? [{ name: "attributes", type: "BYTE_ARRAY", converted_type: "UTF8" } as const] : []),
    ...(hasExpireTimes ? [{ name: expiresName, type: "INT64" } as const] : []),
  ];
  return [
    { name: "schema", num_children: 2 + optional.length },
    { name: "key", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
    { name: "vector", converted_type: "LIST", num_children: 1, repetition_type: "REQUIRED" },
    { name: "list", num_children: 1, repetition_type: "REPEATED" },
    { name: "element", type: "FLOAT", repetition_type: "REQUIRED" },
    ...optional.map((element) => ({ ...element, repetition_type: "OPTIONAL" as const })),
  ];
}
