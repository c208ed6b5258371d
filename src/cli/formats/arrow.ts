/**
 * Apache Arrow: a vector is a list of float32, of fixed size or not. Both of its formats are read; a file gets the one
 * with an index at its end, a pipe the stream.
 */
import * as fs from "node:fs";
import type { RecordBatch } from "apache-arrow";
import type { Row } from "../../bridge/transfer/row.ts";
import { arrowPackage } from "../transfer/packages.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteTarget } from "./byte-target.ts";
import { optionalJson, utf8Key } from "./cells.ts";
import { type Cells, Columns, expiresName } from "./columns.ts";
import type { Choice, Format, Input, Output, Page, Shape } from "./format.ts";
import { bigExpiresAt, inGroups } from "./row-groups.ts";

/** Of a record batch that we write. */
const batchMax = { rowsMax: 10_000, vectorBytesMax: 16 * 1024 * 1024 };

export const arrow: Format = {
  endings: [".arrow", ".arrows", ".feather"],
  hasKeys: true,
  hasExpireTimes: true,
  read,
  write: open,
};

async function read(source: ByteReader, choice: Choice): Promise<Input> {
  const { RecordBatchReader } = await arrowPackage();
  const from = source.path === undefined ? source.chunks() : await fs.promises.open(source.path);
  const reader = await RecordBatchReader.from(from as Parameters<typeof RecordBatchReader.from>[0]);
  await reader.open();
  const columns = new Columns(
    reader.schema.fields.map(({ name }) => String(name)),
    choice,
  );
  async function* pages(): AsyncGenerator<Page> {
    let position = 0;
    for await (const batch of reader as AsyncIterable<RecordBatch>) {
      const start = Math.min(Math.max(choice.skip - position, 0), batch.numRows);
      const cellsOf = (i: number) => new ArrowCells(batch, start + i);
      yield await columns.page(position + start, batch.numRows - start, cellsOf);
      position += batch.numRows;
    }
    await reader.cancel();
  }
  return { unit: "row", says: columns.says, pages };
}

class ArrowCells implements Cells {
  readonly #batch: RecordBatch;
  readonly #row: number;

  constructor(batch: RecordBatch, row: number) {
    this.#batch = batch;
    this.#row = row;
  }

  cell(column: string): unknown {
    const cell: unknown = this.#batch.getChild(column)?.get(this.#row);
    // A list is a vector of its own in Arrow; numbers without a gap are an array inside it.
    return isArrowList(cell) ? cell.toArray() : cell;
  }

  json(column: string): string | undefined {
    return optionalJson(this.#batch.getChild(column)?.get(this.#row), column);
  }
}

interface ArrowList {
  toArray(): unknown;
}

const isArrowList = (cell: unknown): cell is ArrowList =>
  typeof cell === "object" && cell !== null && "toArray" in cell && !ArrayBuffer.isView(cell);

async function open(target: ByteTarget, shape: Shape): Promise<Output> {
  const arrow = await arrowPackage();
  const { Field, FixedSizeList, Float32, Int64, makeData, RecordBatch, Schema, Struct, Utf8 } = arrow;
  const { dimensions, hasAttributes, hasExpireTimes } = shape;
  const type = new FixedSizeList(dimensions, new Field("item", new Float32(), false));
  const schema = new Schema([
    new Field("key", new Utf8(), false),
    new Field("vector", type, false),
    ...(hasAttributes ? [new Field("attributes", new Utf8(), true)] : []),
    ...(hasExpireTimes ? [new Field(expiresName, new Int64(), true)] : []),
  ]);
  const texts = (values: (string | null)[]) => arrow.vectorFromArray(values, new Utf8()).data[0]!;
  const times = (values: (bigint | null)[]) => arrow.vectorFromArray(values, new Int64()).data[0]!;
  const writer =
    target.path === undefined ? new arrow.RecordBatchStreamWriter() : new arrow.RecordBatchFileWriter();
  const sink = drain(writer, target);
  writer.reset(undefined, schema);
  const writeBatch = async (rows: readonly Row[]) => {
    const length = rows.length;
    const floats = new Float32Array(length * dimensions);
    for (const [i, { vector }] of rows.entries()) floats.set(vector, i * dimensions);
    const child = makeData({ type: new Float32(), data: floats, length: floats.length, nullCount: 0 });
    const children = [
      texts(rows.map(({ key }) => utf8Key(key))),
      makeData({ type, child, length, nullCount: 0 }),
      ...(hasAttributes ? [texts(rows.map(({ attributes }) => attributes || null))] : []),
      ...(hasExpireTimes ? [times(rows.map(bigExpiresAt))] : []),
    ];
    writer.write(
      new RecordBatch(schema, makeData({ type: new Struct(schema.fields), children, length, nullCount: 0 })),
    );
    await sink.caughtUp();
  };
  return inGroups(batchMax, shape, writeBatch, async () => {
    writer.finish();
    await sink.ended;
  });
}

/** Passes on what Arrow's writer makes, which by itself would wait in memory. */
function drain(writer: AsyncIterable<Uint8Array>, target: ByteTarget) {
  let passedOn = 0;
  const ended = (async () => {
    for await (const bytes of writer) {
      // A copy: Arrow uses its buffers again.
      await target.write(bytes.slice());
      passedOn++;
    }
  })();
  /** Resolves once a turn of the event loop has brought nothing more. */
  const caughtUp = async () => {
    for (let before = -1; before !== passedOn; ) {
      before = passedOn;
      await new Promise(setImmediate);
    }
  };
  // Its failure is met when it is awaited.
  ended.catch(() => {});
  return { ended, caughtUp };
}
