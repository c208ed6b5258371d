/**
 * NumPy's .npy: a header that is a Python literal, then the array, row after row (NEP 1). Of arrays of numbers the rows
 * are vectors; arrays of texts hold keys, in an .npz.
 */
import type { Row } from "../../bridge/transfer/row.ts";
import { limits } from "../../limits.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteTarget } from "./byte-target.ts";
import type { Choice, Format, Input, Output, Page } from "./format.ts";

const blockBytes = 1024 * 1024;
const magic = Buffer.from("\x93NUMPY", "latin1");
/** Of the files that we write: room for any number of rows, which is filled in at the end. */
const headerBytes = 128;
/** Of files that we read: NumPy's own are a hundred bytes, and may say what columns are called. */
const headerBytesMax = 1024 * 1024;
/** Of keys: more than a key may have, so that all rows but those with such keys can go in. */
const charactersMax = 16_384;

export interface Header {
  /** `<f4`, `|S12`, … */
  readonly type: string;
  readonly shape: readonly number[];
}

type Floats = (bytes: Buffer, count: number) => Float32Array;

/** By their name in the header: bytes of one, and many as float32. */
const numbers: Readonly<Record<string, { bytes: number; floats: Floats }>> = {
  "<f4": { bytes: 4, floats: (block, count) => new Float32Array(block.buffer, block.byteOffset, count) },
  "<f8": {
    bytes: 8,
    floats: (block, count) => from(new Float64Array(block.buffer, block.byteOffset, count)),
  },
  "<f2": {
    bytes: 2,
    floats: (block, count) => halves(new Uint16Array(block.buffer, block.byteOffset, count)),
  },
  "|i1": { bytes: 1, floats: (block, count) => from(new Int8Array(block.buffer, block.byteOffset, count)) },
  "|u1": { bytes: 1, floats: (block, count) => from(new Uint8Array(block.buffer, block.byteOffset, count)) },
  "<i2": { bytes: 2, floats: (block, count) => from(new Int16Array(block.buffer, block.byteOffset, count)) },
  "<i4": { bytes: 4, floats: (block, count) => from(new Int32Array(block.buffer, block.byteOffset, count)) },
};

const from = (values: ArrayLike<number>): Float32Array => Float32Array.from(values);

export const npy: Format = {
  endings: [".npy"],
  hasKeys: false,
  writesFileOnly: true,
  read: async (source, choice) => vectorsOf(source, await readHeader(source), choice),
  write: (target, { dimensions }) => new NpyOutput(target, dimensions),
};

/** @throws Error when it is none, or in the order of Fortran */
export async function readHeader(source: ByteReader): Promise<Header> {
  const start = await source.exactly(8, "the header");
  if (!start.subarray(0, 6).equals(magic)) throw new Error("no .npy file: it does not begin with \\x93NUMPY");
  const lengthBytes = start[6] === 1 ? 2 : 4;
  const length = (await source.exactly(lengthBytes, "the header")).readUIntLE(0, lengthBytes);
  if (length > headerBytesMax) throw new Error(`the header claims ${length} bytes; is the format right?`);
  const text = (await source.exactly(length, "the header")).toString("latin1");
  const type = /'descr': *'([^']*)'/.exec(text)?.[1];
  const shape = /'shape': *\(([\d, ]*)\)/.exec(text)?.[1];
  if (type === undefined || shape === undefined) throw new Error(`no array of one type: ${text.trim()}`);
  if (/'fortran_order': *True/.test(text))
    throw new Error("columns come first; save numpy.ascontiguousarray(…)");
  return {
    type,
    shape: shape
      .split(",")
      .filter((part) => part.trim() !== "")
      .map(Number),
  };
}

export const isMatrix = ({ type, shape }: Header): boolean => shape.length === 2 && type in numbers;

/** The rows of a matrix. @throws Error when it is none */
export function vectorsOf(source: ByteReader, header: Header, { keys, skip }: Choice): Input {
  const number = numbers[header.type];
  if (number === undefined)
    throw new Error(`values of type '${header.type}'; there may be ${Object.keys(numbers).join(", ")}`);
  if (header.shape.length !== 2) throw new Error(`an array of ${header.shape.length} dimensions, not of 2`);
  const [rows, dimensions] = header.shape as [number, number];
  if (dimensions < 1 || dimensions > limits.dimensionsMax)
    throw new Error(`vectors of ${dimensions} components; there may be 1 to ${limits.dimensionsMax}`);
  const rowBytes = dimensions * number.bytes;
  const rowsAtOnce = Math.max(1, Math.floor(blockBytes / rowBytes));
  async function* pages(): AsyncGenerator<Page> {
    await source.skip(skip * rowBytes);
    for (let position = skip; position < rows; position += rowsAtOnce) {
      const count = Math.min(rowsAtOnce, rows - position);
      const block = await source.exactly(count * rowBytes, `the rows from ${position + 1} on`);
      const floats = number!.floats(block, count * dimensions);
      const names = await keys.take(position, count);
      yield names.map((key, i): Row => {
        const vector = floats.subarray(i * dimensions, (i + 1) * dimensions);
        return { position: position + i, place: position + i + 1, key, vector };
      });
    }
  }
  return { dimensions, rows, unit: "row", says: `keys: ${keys.says}`, pages };
}

/** IEEE 754's 16 bits: sign, 5 of the exponent, 10 of the fraction. */
function halves(values: Uint16Array): Float32Array {
  return Float32Array.from(values, (half) => {
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    const sign = half & 0x8000 ? -1 : 1;
    if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}

/** `<U12` or `|S12`: texts, or bytes, of one length, filled up with zeros. */
export interface TextType {
  readonly bytes: number;
  /** Undefined where it is no text. */
  text(bytes: Buffer): string | Buffer | undefined;
}

/** @throws Error when the array holds no texts */
export function textType({ type, shape }: Header): TextType {
  const [, kind, length] = /^[<|]([US])(\d+)$/.exec(type) ?? [];
  if (kind === undefined || shape.length !== 1)
    throw new Error(`keys have to be a list of texts, not '${type}' of ${shape.length} dimensions`);
  if (Number(length) < 1 || Number(length) > charactersMax)
    throw new Error(`keys of ${length} characters; there may be 1 to ${charactersMax}`);
  if (kind === "S") return { bytes: Number(length), text: (bytes) => bytes.subarray(0, ended(bytes)) };
  const text = (bytes: Buffer) => {
    const codes = new Uint32Array(bytes.buffer, bytes.byteOffset, Number(length));
    return codes.every(isCharacter) ? String.fromCodePoint(...codes.subarray(0, ended(codes))) : undefined;
  };
  return { bytes: 4 * Number(length), text };
}

/** Behind the last that is not zero. */
const ended = (codes: Uint8Array | Uint32Array): number => codes.findLastIndex((code) => code !== 0) + 1;

/** Whether UTF-8 has bytes for it: a surrogate is half of a character. */
const isCharacter = (code: number): boolean => code < 0xd800 || (code > 0xdfff && code <= 0x10ffff);

export function headerOf(type: string, shape: readonly number[]): Buffer {
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const header = Buffer.alloc(headerBytes, " ");
  magic.copy(header);
  header.set([1, 0], magic.length);
  header.writeUInt16LE(headerBytes - 10, 8);
  header.write(text, 10, "latin1");
  header.write("\n", headerBytes - 1);
  return header;
}

/** The number of rows is known at the end only, so the header is written twice. */
export class NpyOutput implements Output {
  readonly #target: ByteTarget;
  readonly #dimensions: number;
  #rows = 0;

  constructor(target: ByteTarget, dimensions: number) {
    this.#target = target;
    this.#dimensions = dimensions;
    target.write(headerOf("<f4", [0, dimensions]));
  }

  write({ vector }: Row): Promise<void> | undefined {
    this.#rows++;
    return this.#target.write(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
  }

  finish(): Promise<void> {
    return this.#target.patch(0, headerOf("<f4", [this.#rows, this.#dimensions]));
  }
}
