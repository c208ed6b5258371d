/** Reads the cells of a row as a key, as a vector, and as JSON. */
import { isUtf8 } from "node:buffer";
import { limits } from "../../limits.ts";
import { RowFault } from "./format.ts";

/** @throws RowFault when it is no key */
export function keyOf(cell: unknown, column: string): string | Buffer {
  if (typeof cell === "string") return wellFormed(cell, column);
  if (typeof cell === "number" || typeof cell === "bigint") return String(cell);
  if (cell instanceof Uint8Array) return Buffer.from(cell.buffer, cell.byteOffset, cell.byteLength);
  if (cell === undefined || cell === null) throw new RowFault(`there is no key in '${column}'`);
  throw new RowFault(`'${column}' is no key: neither text nor number nor bytes`);
}

/** Half of a surrogate pair has no bytes in UTF-8: two such keys would become one. */
function wellFormed(key: string, column: string): string {
  if (/\p{Surrogate}/u.test(key))
    throw new RowFault(`'${column}' has half of a surrogate pair, which is no text`);
  return key;
}

/** A list of numbers, little-endian float32 bytes, or a text of numbers. @throws RowFault when it is no vector */
export function vectorOf(cell: unknown, column: string): Float32Array {
  const vector = numbersOf(cell, column);
  if (vector.length === 0) throw new RowFault(`the vector in '${column}' has no components`);
  return vector;
}

function numbersOf(cell: unknown, column: string): Float32Array {
  if (cell instanceof Float32Array) return cell;
  if (typeof cell === "string") return fromText(cell, column);
  if (cell instanceof Uint8Array) return fromBytes(cell, column);
  if (cell === undefined || cell === null) throw new RowFault(`there is no vector in '${column}'`);
  if (!isList(cell)) throw new RowFault(`'${column}' is no vector: neither a list of numbers nor bytes`);
  return fromNumbers(cell, column);
}

const isList = (cell: object): cell is ArrayLike<unknown> => Array.isArray(cell) || ArrayBuffer.isView(cell);

function fromNumbers(cells: ArrayLike<unknown>, column: string): Float32Array {
  const vector = new Float32Array(cells.length);
  for (let i = 0; i < cells.length; i++) {
    if (typeof cells[i] !== "number") throw new RowFault(`component ${i + 1} of '${column}' is no number`);
    vector[i] = cells[i] as number;
  }
  return vector;
}

function fromBytes(bytes: Uint8Array, column: string): Float32Array {
  if (bytes.length % 4 !== 0)
    throw new RowFault(`'${column}' has ${bytes.length} bytes, which are no float32`);
  const vector = new Float32Array(bytes.length / 4);
  new Uint8Array(vector.buffer).set(bytes);
  return vector;
}

/** Numbers between commas or blanks, in brackets or without. */
function fromText(text: string, column: string): Float32Array {
  const inside = text.trim().replace(/^[[{(](.*)[\]})]$/s, "$1");
  const parts = inside.split(/\s*,\s*|\s+/).filter((part) => part !== "");
  const numbers = parts.map(Number);
  const stray = numbers.findIndex((number) => Number.isNaN(number));
  if (stray >= 0) throw new RowFault(`component ${stray + 1} of '${column}' is no number`);
  return Float32Array.from(numbers);
}

/**
 * A time in ms since 1970, of which there may be none.
 *
 * @throws RowFault when it is no such time
 */
export function timeOf(cell: unknown, column: string): number | undefined {
  if (cell === undefined || cell === null || cell === "") return undefined;
  const isText = typeof cell === "string" && /^\d+$/.test(cell);
  const time = isText || typeof cell === "number" || typeof cell === "bigint" ? Number(cell) : Number.NaN;
  if (Number.isSafeInteger(time) && time >= 0 && time <= limits.ttlMsMax) return time;
  throw new RowFault(`'${column}' is no time in ms since 1970`);
}

/** JSON of a cell of any type, of which there may be none. @throws RowFault as jsonOf */
export function optionalJson(cell: unknown, column: string): string | undefined {
  return cell === undefined || cell === null ? undefined : jsonOf(cell, column);
}

/** JSON of a cell of any type. Whole numbers keep all their digits. @throws RowFault for bytes that are no text */
function jsonOf(cell: unknown, column: string): string {
  if (typeof cell === "bigint") return String(cell);
  const plain = (_: string, value: unknown) => {
    if (typeof value === "bigint") return safe(value, column);
    return value;
  };
  return JSON.stringify(cell instanceof Uint8Array ? textOf(cell, column) : cell, plain) ?? "null";
}

function textOf(bytes: Uint8Array, column: string): string {
  if (isUtf8(bytes)) return Buffer.from(bytes).toString();
  throw new RowFault(`'${column}' holds bytes, which JSON cannot`);
}

function safe(value: bigint, column: string): number {
  if (Number.isSafeInteger(Number(value))) return Number(value);
  throw new RowFault(`'${column}' holds ${value}, which is larger than JSON's numbers are exact`);
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of a cell whose format says that it is UTF-8, or its bytes where they are not. */
export function textOrBytes(bytes: Uint8Array): string | Uint8Array {
  return isUtf8(bytes) ? strictUtf8.decode(bytes) : Uint8Array.from(bytes);
}

/** As JSON writes them; other texts are texts. */
const typed = /^(-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false)$/;

/** JSON of a text that may be meant as a number or truth value, where a format has texts only. */
export const typedJson = (text: string): string => (typed.test(text) ? text : JSON.stringify(text));

/** @throws RowFault when its bytes are no text */
export function utf8Key(key: string | Buffer): string {
  if (typeof key === "string") return key;
  if (isUtf8(key)) return key.toString();
  throw new RowFault(
    `the key ${JSON.stringify(key.toString("latin1"))} is not UTF-8, which this format needs`,
  );
}

/** The shortest of those texts that are read as this very float32 again, or nearly so. */
export function floatText(value: number): string {
  if (Object.is(value, -0)) return "-0";
  for (const digits of [6, 7, 8]) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

export const vectorText = (vector: Float32Array): string => `[${Array.from(vector, floatText).join(",")}]`;
