/**
 * .parquet: a vector is a list of numbers, or float32 bytes. Read and written a piece at a time; the index of a file
 * stands at its end, so it cannot come from a pipe.
 */
import type { SchemaElement } from "hyparquet";
import type { Row } from "../../bridge/transfer/row.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteTarget } from "./byte-target.ts";
import { jsonOf, utf8Key } from "./cells.ts";
import { type Cells, Columns } from "./columns.ts";
import {
  type Choice,
  type Format,
  type Input,
  type Output,
  type Page,
  pageOf,
  type Shape,
} from "./format.ts";
import { parquetCompressors, parquetReader, parquetWriter } from "./packages.ts";

/** Bytes of the rows that are decoded at a time, as the file counts them. */
const pieceBytes = 16 * 1024 * 1024;
/** Rows and vector bytes of a row group that we write. */
const groupRowsMax = 10_000;
const groupBytesMax = 32 * 1024 * 1024;

export const parquet: Format = {
  endings: [".parquet"],
  hasKeys: true,
  readsFileOnly: true,
  read,
  write: open,
};

async function read(source: ByteReader, choice: Choice): Promise<Input> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetScan } = await parquetReader();
  const { compressors } = await parquetCompressors();
  const file = await asyncBufferFromFile(source.path!);
  const metadata = await parquetMetadataAsync(file);
  const columns = new Columns(topLevel(metadata.schema), choice);
  const scan = await parquetScan({ file, metadata, columns: [...columns.used], compressors, utf8: false });
  const rows = Number(metadata.num_rows);
  const bytes = metadata.row_groups.reduce((total, group) => total + Number(group.total_byte_size), 0);
  const rowsAtOnce = Math.max(1, Math.floor(pieceBytes / Math.max(1, bytes / Math.max(1, rows))));
  async function* pages(): AsyncGenerator<Page> {
    for (const { rowStart, rowEnd } of scan.ranges) {
      for (let from = Math.max(rowStart, choice.skip); from < rowEnd; from += rowsAtOnce) {
        const to = Math.min(from + rowsAtOnce, rowEnd);
        const data = new Map<string, ArrayLike<unknown>>();
        for (const column of columns.used)
          data.set(column, await scan.readColumn({ column, rowStart: from, rowEnd: to }));
        const spare = columns.hasKey ? [] : await choice.keys.take(from, to - from);
        yield pageOf(
          Array.from({ length: to - from }, (_, i) => i),
          (i) => ({ position: from + i, place: from + i + 1 }),
          (i) => columns.row(new ParquetCells(data, i), spare[i]),
        );
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
    const cell = this.cell(column);
    return cell === undefined || cell === null ? undefined : jsonOf(cell, column);
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
  const groupRows = Math.max(1, Math.min(groupRowsMax, Math.floor(groupBytesMax / (4 * shape.dimensions))));
  let group: Row[] = [];
  const writeGroup = async () => {
    const columnData = [
      { name: "key", data: group.map(({ key }) => utf8Key(key)) },
      { name: "vector", data: group.map(({ vector }) => Array.from(vector)), encoding: "PLAIN" as const },
      ...(shape.hasAttributes
        ? [{ name: "attributes", data: group.map(({ attributes }) => attributes || null) }]
        : []),
    ];
    await parquet.write({ columnData, rowGroupSize: groupRows });
    group = [];
  };
  return {
    write(row) {
      utf8Key(row.key);
      group.push(row);
      return group.length < groupRows ? undefined : writeGroup();
    },
    async finish() {
      if (group.length > 0) await writeGroup();
      parquet.finish();
      await flush();
    },
  };
}

function schemaOf({ hasAttributes }: Shape): SchemaElement[] {
  return [
    { name: "schema", num_children: hasAttributes ? 3 : 2 },
    { name: "key", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
    { name: "vector", converted_type: "LIST", num_children: 1, repetition_type: "REQUIRED" },
    { name: "list", num_children: 1, repetition_type: "REPEATED" },
    { name: "element", type: "FLOAT", repetition_type: "REQUIRED" },
    ...(hasAttributes
      ? [
          {
            name: "attributes",
            type: "BYTE_ARRAY",
            converted_type: "UTF8",
            repetition_type: "OPTIONAL",
          } as const,
        ]
      : []),
  ];
}
