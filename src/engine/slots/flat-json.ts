/**
 * JSON objects of one shape: the same names in the same order, the same white space, and no array or object inside.
 * Most writers send such texts, one after the other. The bytes between the values of such a text are known, so it is
 * checked byte by byte, and its values are read without an object or a string: JSON.parse takes five times as long.
 *
 * JSON.parse remains the reference. Every text that is not quite so plain is left to it: names or strings with an
 * escape, a name twice, names that are numbers, whose order JSON.parse changes.
 */
import { isUtf8 } from "node:buffer";

/** Names of a shape. */
const NAMES_MAX = 64;
/** Shapes that are remembered, and misses in a row after which a new shape is learnt only now and then. */
const SHAPES_MAX = 4;
const MISSES_MAX = 16;
/** A longer text is left to JSON.parse. */
export const FLAT_BYTES_MAX = 1_024;

const [TAB, LF, CR, SPACE, QUOTE, PLUS, COMMA, MINUS, DOT, ZERO, NINE, COLON] = [
  0x09, 0x0a, 0x0d, 0x20, 0x22, 0x2b, 0x2c, 0x2d, 0x2e, 0x30, 0x39, 0x3a,
];
const [BACKSLASH, OPEN, CLOSE, LOWER_E, UPPER_E, FIRST_BEYOND_ASCII] = [0x5c, 0x7b, 0x7d, 0x65, 0x45, 0x80];
const [LOWER_F, LOWER_N, LOWER_T] = [0x66, 0x6e, 0x74];
const LITERALS = ["true", "false", "null"].map((word) => Buffer.from(word));

/** What no value ends at. */
const ODD = -1;

/** Powers of ten that are exact as float64. */
const POWERS = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** Where the values of a text begin and end: two numbers for each name. */
export type Places = readonly number[];

export class FlatShape {
  readonly names: readonly string[];
  /** The bytes before each value, and after the last: all of them, and where each run ends. */
  readonly #between: Uint8Array;
  readonly #ends: Int32Array;

  private constructor(names: readonly string[], runs: readonly Uint8Array[]) {
    this.names = names;
    this.#between = Buffer.concat(runs);
    this.#ends = new Int32Array(runs.length);
    let end = 0;
    for (const [i, run] of runs.entries()) {
      end += run.length;
      this.#ends[i] = end;
    }
  }

  /** The shape of a text that JSON.parse has made an object of; undefined where it is not so plain. */
  static of(text: Uint8Array): FlatShape | undefined {
    const names: string[] = [];
    const runs: Uint8Array[] = [];
    let start = 0;
    let at = afterSpace(text, 0);
    if (text[at] !== OPEN) return undefined;
    while (text[at] !== CLOSE) {
      const nameAt = afterSpace(text, at + 1);
      const nameEnd = text[nameAt] === QUOTE ? endOfString(text, nameAt) : ODD;
      if (nameEnd === ODD || names.length === NAMES_MAX) return undefined;
      names.push(Buffer.from(text.subarray(nameAt + 1, nameEnd - 1)).toString("utf8"));
      const colon = afterSpace(text, nameEnd);
      const value = afterSpace(text, colon + 1);
      const end = text[colon] === COLON ? endOfValue(text, value) : ODD;
      if (end === ODD) return undefined;
      runs.push(text.subarray(start, value));
      start = end;
      at = afterSpace(text, end);
      if (text[at] !== COMMA && text[at] !== CLOSE) return undefined;
    }
    runs.push(text.subarray(start));
    const isPlain = new Set(names).size === names.length && !names.some((name) => /^\d+$/.test(name));
    return isPlain ? new FlatShape(names, runs) : undefined;
  }

  /** Where its values are, if the text is a JSON object of this shape. */
  read(text: Uint8Array): Places | undefined {
    const between = this.#between;
    const ends = this.#ends;
    const places: number[] = [];
    let [at, run] = [0, 0];
    isBeyondAscii = false;
    for (let i = 0; i < ends.length; i++) {
      const runEnd = ends[i]!;
      if (at + runEnd - run > text.length) return undefined;
      for (; run < runEnd; run++, at++) if (text[at] !== between[run]) return undefined;
      if (run === between.length) break;
      const end = endOfValue(text, at);
      if (end === ODD) return undefined;
      places.push(at, end);
      at = end;
    }
    return at === text.length && (!isBeyondAscii || isUtf8(text)) ? places : undefined;
  }
}

/** Set by a string that is not ASCII alone. */
let isBeyondAscii = false;

/** A text of a shape. */
export interface Flat {
  readonly shape: FlatShape;
  readonly places: Places;
}

/** The shapes of the texts that came last, the last one first. */
class RecentShapes {
  readonly #shapes: FlatShape[] = [];
  #misses = 0;

  /** The text, if it has one of the shapes; undefined where JSON.parse has to say what it is. */
  read(text: Uint8Array): Flat | undefined {
    if (text.length > FLAT_BYTES_MAX) return undefined;
    for (let i = 0; i < this.#shapes.length; i++) {
      const shape = this.#shapes[i]!;
      const places = shape.read(text);
      if (places === undefined) continue;
      this.#misses = 0;
      if (i > 0) this.#putFirst(i, shape);
      return { shape, places };
    }
    return undefined;
  }

  /** Must be called with a text that has none of the shapes and that JSON.parse has made an object of. */
  learn(text: Uint8Array): void {
    if (text.length > FLAT_BYTES_MAX) return;
    this.#misses++;
    if (this.#misses > MISSES_MAX && this.#misses % MISSES_MAX !== 0) return;
    const shape = FlatShape.of(text);
    if (shape !== undefined) this.#putFirst(Math.min(this.#shapes.length, SHAPES_MAX - 1), shape);
  }

  #putFirst(from: number, shape: FlatShape): void {
    this.#shapes.copyWithin(1, 0, from);
    this.#shapes[0] = shape;
  }
}

/** Of this process: what they say of a text depends on the text alone. */
export const recentShapes = new RecentShapes();

function afterSpace(text: Uint8Array, start: number): number {
  let at = start;
  while (text[at] === SPACE || text[at] === LF || text[at] === TAB || text[at] === CR) at++;
  return at;
}

/** The end of the string, number or literal that begins here; ODD where there is none, or one with an escape. */
function endOfValue(text: Uint8Array, start: number): number {
  const first = text[start]!;
  if (first === QUOTE) return endOfString(text, start);
  if (first === MINUS || isDigit(first)) return endOfNumber(text, start);
  for (const word of LITERALS) if (first === word[0]) return endOfWord(text, start, word);
  return ODD;
}

function endOfString(text: Uint8Array, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const byte = text[at]!;
    if (byte === QUOTE) return at + 1;
    if (byte < SPACE || byte === BACKSLASH) return ODD;
    if (byte >= FIRST_BEYOND_ASCII) isBeyondAscii = true;
  }
  return ODD;
}

function endOfWord(text: Uint8Array, start: number, word: Uint8Array): number {
  for (let i = 1; i < word.length; i++) if (text[start + i] !== word[i]) return ODD;
  return start + word.length;
}

/** RFC 8259, section 6. */
function endOfNumber(text: Uint8Array, start: number): number {
  const whole = text[start] === MINUS ? start + 1 : start;
  let at = text[whole] === ZERO ? whole + 1 : afterDigits(text, whole);
  if (at === whole) return ODD;
  if (text[at] === DOT) {
    const fraction = at + 1;
    at = afterDigits(text, fraction);
    if (at === fraction) return ODD;
  }
  if (text[at] !== LOWER_E && text[at] !== UPPER_E) return at;
  const exponent = text[at + 1] === PLUS || text[at + 1] === MINUS ? at + 2 : at + 1;
  at = afterDigits(text, exponent);
  return at === exponent ? ODD : at;
}

function afterDigits(text: Uint8Array, start: number): number {
  let at = start;
  while (at < text.length && isDigit(text[at]!)) at++;
  return at;
}

const isDigit = (byte: number) => byte >= ZERO && byte <= NINE;

/** The value of the JSON in text[start, end), as filters know it: true is 1, false 0. */
export function scalarIn(text: Uint8Array, start: number, end: number): string | number | null {
  switch (text[start]) {
    case QUOTE:
      return textIn(text, start + 1, end - 1);
    case LOWER_T:
      return 1;
    case LOWER_F:
      return 0;
    case LOWER_N:
      return null;
    default:
      return numberIn(text, start, end);
  }
}

/**
 * The number in text[start, end), as JSON.parse reads it. Few digits are a whole number and a power of ten, both exact,
 * so that their quotient is rounded once (Clinger, How to Read Floating Point Numbers Accurately, 1990).
 */
function numberIn(text: Uint8Array, start: number, end: number): number {
  const isNegative = text[start] === MINUS;
  let digits = 0;
  let decimals = 0;
  let at = isNegative ? start + 1 : start;
  for (; at < end && isDigit(text[at]!); at++) digits = digits * 10 + text[at]! - ZERO;
  if (at < end && text[at] === DOT) {
    decimals = end - ++at; // unless an exponent follows
    for (; at < end && isDigit(text[at]!); at++) digits = digits * 10 + text[at]! - ZERO;
  }
  if (at < end || digits > Number.MAX_SAFE_INTEGER || decimals >= POWERS.length)
    return Number(textIn(text, start, end));
  const number = digits / POWERS[decimals]!;
  return isNegative ? -number : number;
}

/** The UTF-8 of text[start, end) as a string. */
function textIn(text: Uint8Array, start: number, end: number): string {
  const bytes = text instanceof Buffer ? text : Buffer.from(text.buffer, text.byteOffset, text.length);
  return bytes.toString("utf8", start, end);
}
