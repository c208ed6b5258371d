/**
 * Apache Arrow: a vector is a list of float32, of fixed size or not. Both of its formats are read; a file gets the one
 * with an index at its end, a pipe the stream.
 */
import * as fs from "node:fs";
import type { Data, RecordBatch, Vector } from "apache-arrow";
import type { Row } from "../../bridge/transfer/row.ts";
import { arrowPackage } from "../transfer/packages.ts";
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
  unreadable,
} from "./format.ts";
import { bigExpiresAt, inGroups } from "./row-groups.ts";

/** Of a record batch that we write. */
const batchMax = { rowsMax: 10_000, vectorBytesMax: 16 * 1024 * 1024 };
/** Of a batch, which may hold a whole file. */
const pageRowsMax = 10_000;
/** Int, Float, FixedSizeBinary, FixedSizeList: their length says how many values there have to be. */
const countedTypes: ReadonlySet<number> = new Set([2, 3, 15, 16]);
/** Binary, Utf8, List, Map, LargeBinary, LargeUtf8, LargeList: their last offset says it. */
const offsetTypes: ReadonlySet<number> = new Set([4, 5, 12, 17, 19, 20, 21]);
/** Reads of a file before the end of the last one: a footer names pieces in their order, but for few of them. */
const backwardsMax = 1_000;

export const arrow: Format = {
  endings: [".arrow", ".arrows", ".feather"],
  hasKeys: true,
  hasExpireTimes: true,
  decodedApartAs: "Arrow",
  read,
  write: open,
};

async function read(source: ByteReader, choice: Choice): Promise<Input> {
  const { RecordBatchReader } = await arrowPackage();
  const from = source.path === undefined ? source.chunks() : await ForwardFile.open(source.path);
  const reader = await decoding("Arrow", async () => {
    const found = await RecordBatchReader.from(
      from as unknown as Parameters<typeof RecordBatchReader.from>[0],
    );
    await found.open();
    if (found.schema === undefined) throw new Error("it has no schema");
    return found;
  });
  const columns = new Columns(
    reader.schema.fields.map(({ name }) => String(name)),
    choice,
  );
  async function* pages(): AsyncGenerator<Page> {
    let position = 0;
    const batches = (reader as AsyncIterable<RecordBatch>)[Symbol.asyncIterator]();
    const next = () => decoding("Arrow", () => batches.next());
    for (let { value: batch, done } = await next(); !done; { value: batch, done } = await next()) {
      const children = await childrenOf(batch, columns.used);
      for (let from = Math.max(choice.skip - position, 0); from < batch.numRows; from += pageRowsMax) {
        const count = Math.min(pageRowsMax, batch.numRows - from);
        yield await columns.page(position + from, count, (i) => new ArrowCells(children, from + i));
      }
      position += batch.numRows;
    }
    await reader.cancel();
  }
  return { unit: "row", says: columns.says, pages };
}

/** Arrow follows the lengths in a file wherever they lead: in a damaged one, to and fro for ever. */
class ForwardFile {
  readonly #file: fs.promises.FileHandle;
  #end = 0;
  #backwards = 0;

  private constructor(file: fs.promises.FileHandle) {
    this.#file = file;
  }

  static async open(path: string): Promise<ForwardFile> {
    return new ForwardFile(await fs.promises.open(path));
  }

  /** By this and `stat` Arrow knows a file. */
  get fd(): number {
    return this.#file.fd;
  }

  stat(): Promise<fs.Stats> {
    return this.#file.stat();
  }

  async read(into: Uint8Array, offset: number, length: number, position: number) {
    if (position < this.#end && ++this.#backwards > backwardsMax)
      throw new Error("its lengths lead backwards");
    const result = await this.#file.read(into, offset, length, position);
    if (result.bytesRead === 0 && length > 0) throw new Error(`it ends before byte ${position + length}`);
    this.#end = position + result.bytesRead;
    return result;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

interface Child {
  get(row: number): unknown;
}

type Children = ReadonlyMap<string, Child | null>;

/** Of texts the bytes, because Arrow's decoder takes a mark at their beginning away and hides what is no UTF-8. */
async function childrenOf(batch: RecordBatch, names: Iterable<string>): Promise<Children> {
  const { Binary, DataType, LargeBinary, Vector } = await arrowPackage();
  const bytesOf = (child: Vector | null): Child | null => {
    if (child === null || !(DataType.isUtf8(child.type) || DataType.isLargeUtf8(child.type))) return child;
    const type = DataType.isUtf8(child.type) ? new Binary() : new LargeBinary();
    const bytes = new Vector(child.data.map((data) => data.clone(type as never)));
    return { get: (row) => textIfAny(bytes.get(row)) };
  };
  return new Map(
    [...names].map((name) => {
      const child = batch.getChild(name);
      for (const data of child?.data ?? []) assertHeld(data, name);
      return [name, bytesOf(child)];
    }),
  );
}

/** Arrow believes a batch that claims more rows than it has, and makes up the rest. */
function assertHeld(data: Data, column: string): void {
  const { typeId, length, values, children } = data;
  const held = children[0]?.length ?? (values as ArrayLike<unknown> | undefined)?.length ?? 0;
  if (length > 0 && claimedBy(data) > held)
    throw unreadable("Arrow", `'${column}' has fewer values than it claims`);
  if (countedTypes.has(typeId) || offsetTypes.has(typeId))
    for (const child of children) assertHeld(child, column);
}

function claimedBy({ typeId, length, stride, valueOffsets }: Data): number {
  if (countedTypes.has(typeId)) return length * stride;
  return offsetTypes.has(typeId) ? Number(valueOffsets[length] ?? Infinity) : 0;
}

const textIfAny = (bytes: Uint8Array | null) => (bytes === null ? null : textOrBytes(bytes));

class ArrowCells implements Cells {
  readonly #children: Children;
  readonly #row: number;

  constructor(children: Children, row: number) {
    this.#children = children;
    this.#row = row;
  }

  cell(column: string): unknown {
    const cell: unknown = this.#children.get(column)?.get(this.#row);
    // A list is a vector of its own in Arrow; numbers without a gap are an array inside it.
    return isArrowList(cell) ? cell.toArray() : cell;
  }

  json(column: string): string | undefined {
    return optionalJson(this.#children.get(column)?.get(this.#row), column);
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
