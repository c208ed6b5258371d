/**
 * The saved columns of a collection. They follow from the attributes, so a file that is not whole is left alone and the
 * columns are built again. Writes go on while a file is written: what changes a slot meanwhile is a record of
 * attributes.log behind the point that the file names, and the reader of the file applies those records again.
 */
import * as fs from "node:fs";
import { checksumText, RollingChecksum } from "../disk/checksum.ts";
import { assertRoom, rethrow, write } from "../disk/files.ts";
import { COLUMNS_HEADER, FORMAT_VERSION, FRAME_HEADER, FRAME_KIND } from "../disk/layout.ts";
import type { SavedColumns } from "../disk/manifest.ts";
import { columnsFile, columnsNumber, TEMPORARY_SUFFIX } from "../disk/names.ts";
import { failPoint } from "../fail-point.ts";
import type { Value } from "../filter/value.ts";
import { TimeSlice } from "../time-slice.ts";
import { Bitmap } from "./bitmap.ts";
import { type Codes, type Column, PAGE_SLOTS, readValueText, type SavedColumn, valueText } from "./column.ts";
import { Columns } from "./columns.ts";

/** Values of a dictionary in one frame. */
const VALUES_PER_FRAME = 1_000;
/** Bytes gathered before they are written. */
const WRITE_BYTES = 1 << 20;

/**
 * Saves the columns under the number after that of `previous`; the manifest does not name it yet.
 *
 * @param slots that may have attributes
 * @param attributesBytes of attributes.log, which the columns hold as it begins
 * @throws {VstoreError} FULL; nothing of it is left then
 */
export async function saveColumns(
  directory: string,
  columns: Columns,
  slots: () => number,
  attributesBytes: number,
  previous: SavedColumns | undefined,
): Promise<SavedColumns> {
  const file = columnsFile(previous === undefined ? 1 : columnsNumber(previous.file) + 1);
  const temporary = `${directory}/${file}${TEMPORARY_SUFFIX}`;
  await assertRoom(directory, columns.bytes, "columns");
  try {
    const written = await writeColumns(temporary, columns, slots);
    failPoint("columns-half-written", () => fs.truncateSync(temporary, written.bytes >> 1));
    await fs.promises.rename(temporary, `${directory}/${file}`);
    failPoint("columns-before-manifest");
    return { file, attributesBytes, ...written };
  } catch (error) {
    await fs.promises.rm(temporary, { force: true });
    throw error;
  }
}

async function writeColumns(
  path: string,
  columns: Columns,
  slots: () => number,
): Promise<{ bytes: number; checksum: number }> {
  const file = await fs.promises.open(path, "w").catch(rethrow);
  try {
    const writer = new FrameWriter(file.fd);
    let field = 0;
    for (const [name, column] of columns.columns) await writeColumn(writer, field++, name, column);
    // The last, so that a slot of which something is in a page is among them, or has a record behind the point.
    await writer.frame(FRAME_KIND.documents, 0, 0, columns.documents.bytes(slots()));
    await writer.json(FRAME_KIND.end, 0, { isFull: columns.isFull });
    const end = await writer.end();
    await file.datasync();
    return end;
  } finally {
    await file.close();
  }
}

/** Pages before values: each code that is in a page has its value in the file. */
async function writeColumn(writer: FrameWriter, field: number, name: string, column: Column): Promise<void> {
  for (let page = 0; page < column.codes.length; page++) {
    const codes = column.codes[page];
    const kind = codes instanceof Uint16Array ? FRAME_KIND.wideCodes : FRAME_KIND.byteCodes;
    if (codes !== undefined) await writer.frame(kind, field, page, codes);
  }
  for (let page = 0; page < column.numbers.length; page++) {
    const numbers = column.numbers[page];
    if (numbers !== undefined) await writer.frame(FRAME_KIND.numbers, field, page, numbers);
  }
  for (let from = 0; from < column.distinct; from += VALUES_PER_FRAME) {
    await writer.json(FRAME_KIND.values, field, column.known(from, from + VALUES_PER_FRAME));
  }
  await writer.json(FRAME_KIND.field, field, { name, opaque: column.opaque });
}

class FrameWriter {
  readonly #descriptor: number;
  readonly #checksum = new RollingChecksum();
  readonly #slice = new TimeSlice();
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    const header = Buffer.alloc(COLUMNS_HEADER.bytes);
    header.write(COLUMNS_HEADER.magic, COLUMNS_HEADER.at.magic, "ascii");
    header.writeUInt32LE(FORMAT_VERSION, COLUMNS_HEADER.at.version);
    this.#add(header);
  }

  /** @param payload is copied at once */
  async frame(kind: number, field: number, page: number, payload: ArrayBufferView): Promise<void> {
    const { at, bytes } = FRAME_HEADER;
    const header = Buffer.alloc(bytes);
    header.writeUInt32LE(kind, at.kind);
    header.writeUInt32LE(field, at.field);
    header.writeUInt32LE(page, at.page);
    header.writeUInt32LE(payload.byteLength, at.length);
    this.#add(header);
    this.#add(Buffer.from(new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength)));
    if (this.#bytes >= WRITE_BYTES) await this.#flush();
    if (this.#slice.spent) await this.#slice.pause();
  }

  json(kind: number, field: number, content: unknown): Promise<void> {
    return this.frame(kind, field, 0, Buffer.from(valueText(content)));
  }

  async end(): Promise<{ bytes: number; checksum: number }> {
    await this.#flush();
    return { bytes: this.#checksum.bytes, checksum: this.#checksum.value };
  }

  #add(part: Uint8Array): void {
    this.#parts.push(part);
    this.#bytes += part.length;
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    await write(this.#descriptor, bytes, this.#checksum.bytes);
    this.#checksum.extend(bytes);
  }
}

/** The columns that the manifest names, or undefined when there are none or they are not whole. */
export async function loadColumns(
  directory: string,
  saved: SavedColumns | undefined,
  warn: (message: string, details?: object) => void,
): Promise<Columns | undefined> {
  if (saved === undefined) return undefined;
  const path = `${directory}/${saved.file}`;
  try {
    return await readColumns(await fs.promises.readFile(path), saved);
  } catch (error) {
    warn("the saved columns cannot be used and are built again", { file: path, reason: String(error) });
    return undefined;
  }
}

/** What has been read of a field. */
interface Reading extends SavedColumn {
  readonly values: Value[];
}

async function readColumns(file: Buffer, { bytes, checksum }: SavedColumns): Promise<Columns> {
  const { at } = COLUMNS_HEADER;
  if (file.toString("latin1", at.magic, at.version) !== COLUMNS_HEADER.magic)
    throw new Error("not a file of columns");
  const version = file.readUInt32LE(at.version);
  if (version !== FORMAT_VERSION)
    throw new Error(`format version ${version}, this vstore reads ${FORMAT_VERSION}`);
  if (file.length !== bytes) throw new Error(`${file.length} bytes, expected ${bytes}`);
  const slice = new TimeSlice();
  const found = new RollingChecksum();
  for (let from = 0; from < file.length; from += WRITE_BYTES) {
    found.extend(file.subarray(from, from + WRITE_BYTES));
    if (slice.spent) await slice.pause();
  }
  if (found.value !== checksum)
    throw new Error(`checksum ${checksumText(found.value)}, expected ${checksumText(checksum)}`);
  const reader = new FrameReader();
  for (let from: number = COLUMNS_HEADER.bytes; from < file.length; ) {
    from = reader.frame(file, from);
    if (slice.spent) await slice.pause();
  }
  return reader.columns();
}

class FrameReader {
  readonly #fields = new Map<number, Reading>();
  readonly #named = new Map<string, SavedColumn>();
  #documents = new Bitmap();
  #isFull: boolean | undefined;

  /** Reads the frame at `from`; returns where the next one begins. */
  frame(file: Buffer, from: number): number {
    const { at, bytes } = FRAME_HEADER;
    const start = from + bytes;
    const end = start + file.readUInt32LE(from + at.length);
    if (end > file.length) throw new Error(`a frame at ${from} that ends behind the file`);
    const field = this.#fieldOf(file.readUInt32LE(from + at.field));
    this.#take(file.readUInt32LE(from + at.kind), field, file.readUInt32LE(from + at.page), () =>
      file.subarray(start, end),
    );
    return end;
  }

  columns(): Promise<Columns> {
    if (this.#isFull === undefined) throw new Error("no last frame");
    return Columns.restored(this.#documents, this.#named, this.#isFull);
  }

  #fieldOf(number: number): Reading {
    const field = this.#fields.get(number) ?? { codes: [], numbers: [], values: [], opaque: 0 };
    this.#fields.set(number, field);
    return field;
  }

  #take(kind: number, field: Reading, page: number, payload: () => Buffer): void {
    const json = () => readValueText(payload().toString("utf8"));
    switch (kind) {
      case FRAME_KIND.byteCodes:
        field.codes[page] = pageOf(payload(), Uint8Array);
        return;
      case FRAME_KIND.wideCodes:
        field.codes[page] = pageOf(payload(), Uint16Array);
        return;
      case FRAME_KIND.numbers:
        field.numbers[page] = pageOf(payload(), Float64Array);
        return;
      case FRAME_KIND.values:
        field.values.push(...(json() as Value[]));
        return;
      case FRAME_KIND.field: {
        const { name, opaque } = json() as { name: string; opaque: number };
        this.#named.set(name, { ...field, opaque });
        return;
      }
      case FRAME_KIND.documents:
        this.#documents = Bitmap.from(payload());
        return;
      case FRAME_KIND.end:
        this.#isFull = (json() as { isFull: boolean }).isFull;
        return;
      default:
        throw new Error(`a frame of kind ${kind}`);
    }
  }
}

/** A copy: a view of numbers has to begin at a multiple of their size. */
function pageOf<Page extends Codes | Float64Array>(
  payload: Buffer,
  type: { new (buffer: ArrayBuffer): Page; BYTES_PER_ELEMENT: number },
): Page {
  if (payload.length !== PAGE_SLOTS * type.BYTES_PER_ELEMENT) throw new Error("a page of another size");
  return new type(Uint8Array.from(payload).buffer);
}
