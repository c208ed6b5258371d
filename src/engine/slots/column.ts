/**
 * The values of one field by slot. Each slot has a code: nothing, a value that is not kept here (OPAQUE, so the JSON
 * has to be read), or the number of a value in the field's dictionary. When the dictionary has many numbers, a column
 * keeps further numbers themselves, eight bytes each, and the code counts only where there is none.
 */
import { limits } from "../../limits.ts";
import type { Value } from "../filter/value.ts";
import { TimeSlice } from "../time-slice.ts";
import { scalarIn } from "./flat-json.ts";
import { NumberCodes } from "./number-codes.ts";
import { TextCodes } from "./text-codes.ts";

/** Slots of one page; pages come into being with the first value in them. */
export const PAGE_SLOTS = 1 << 14;

export const MISSING = 0;
export const OPAQUE = 1;
/** The code of the dictionary's first value. */
const FIRST = 2;
/** Codes that fit into a byte. */
const BYTE_CODES = 256;
/** Distinct numbers of a dictionary; others are kept themselves. */
const DISTINCT_NUMBERS_MAX = 4_096;
/** Bytes of an entry of a dictionary besides its text, about. */
const ENTRY_BYTES = 64;
/** Values of a dictionary that are taken over between two looks at the clock. */
const VALUES_PER_LOOK = 64;

/** What the JSON of a string begins with. */
const QUOTE = 0x22;

export type Codes = Uint8Array | Uint16Array;

/** Bytes that all columns of a collection may spend on the texts of their dictionaries. */
export interface Budget {
  textBytes: number;
}

/** What of a column is saved. */
export interface SavedColumn {
  readonly codes: (Codes | undefined)[];
  readonly numbers: (Float64Array | undefined)[];
  readonly values: readonly Value[];
  readonly opaque: number;
}

export class Column {
  /** By page. A page without codes has none but MISSING. */
  readonly codes: (Codes | undefined)[] = [];
  /** By page, NaN where the code counts; no page while the dictionary has all its numbers. */
  readonly numbers: (Float64Array | undefined)[] = [];
  /** By code. */
  readonly values: (Value | undefined)[] = [undefined, undefined];
  /** How often a slot was given a value that is not kept here. */
  opaque = 0;
  readonly #budget: Budget;
  readonly #dictionary = new Dictionary();
  readonly #texts = new TextCodes();
  #distinctNumbers = 0;
  #textBytes = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /**
   * The column that had these pages and values. @throws {RangeError} when the values are more than the budget has left
   */
  static async restored(budget: Budget, saved: SavedColumn): Promise<Column> {
    const column = new Column(budget);
    const slice = new TimeSlice();
    for (const value of saved.values) {
      if (!isKept(value)) throw new RangeError("a value that no column keeps");
      column.#admit(value);
      if (column.values.length % VALUES_PER_LOOK === 0 && slice.spent) await slice.pause();
    }
    if (budget.textBytes < 0) throw new RangeError("more text than columns keep");
    const isKnown = (code: number) => code < column.values.length;
    for (const codes of saved.codes) {
      if (!(codes?.every(isKnown) ?? true)) throw new RangeError("a code without a value");
      column.codes.push(codes);
      if (slice.spent) await slice.pause();
    }
    column.numbers.push(...saved.numbers);
    column.opaque = saved.opaque;
    return column;
  }

  /** Values of the dictionary, in the order of their codes. */
  known(from: number, to: number): Value[] {
    return this.values.slice(FIRST + from, FIRST + to) as Value[];
  }

  /** Bytes of memory, about. */
  get bytes(): number {
    const pages = [...this.codes, ...this.numbers];
    const inPages = pages.reduce((sum, page) => sum + (page?.byteLength ?? 0), 0);
    return inPages + this.#textBytes + this.#texts.bytes + this.values.length * ENTRY_BYTES;
  }

  /** Distinct values that are kept. */
  get distinct(): number {
    return this.values.length - FIRST;
  }

  /** @param value undefined for none */
  set(slot: number, value: Value | undefined): void {
    const code = value === undefined ? MISSING : this.#encode(value);
    if (code === undefined)
      this.#numbersOf(Math.floor(slot / PAGE_SLOTS))[slot % PAGE_SLOTS] = value as number;
    else this.#setCode(slot, code);
  }

  /** The same for the JSON in text[start, end): a number, true, false, null, or a string without an escape. */
  setJson(slot: number, text: Uint8Array, start: number, end: number): void {
    // Numbers that are kept themselves differ so much that their texts do not come again.
    const mayBeKnown = this.numbers.length === 0 || text[start] === QUOTE;
    const known = mayBeKnown ? this.#texts.get(text, start, end) : MISSING;
    if (known !== MISSING) {
      this.#setCode(slot, known);
      return;
    }
    const value = scalarIn(text, start, end);
    const code = this.#encode(value);
    if (code === undefined) {
      this.#setNumber(slot, value as number);
      return;
    }
    this.#setCode(slot, code);
    if (mayBeKnown && code !== OPAQUE) this.#texts.add(text, start, end, code);
  }

  #setNumber(slot: number, value: number): void {
    this.#numbersOf(Math.floor(slot / PAGE_SLOTS))[slot % PAGE_SLOTS] = value;
  }

  #setCode(slot: number, code: number): void {
    const page = Math.floor(slot / PAGE_SLOTS);
    const at = slot % PAGE_SLOTS;
    const numbers = this.numbers[page];
    if (numbers !== undefined) numbers[at] = Number.NaN;
    if (code !== MISSING || this.codes[page] !== undefined) this.#codesFor(page, code)[at] = code;
  }

  /** The value in a slot: undefined for nothing, null for one that is not known here. */
  get(slot: number): { readonly value: Value } | null | undefined {
    const page = Math.floor(slot / PAGE_SLOTS);
    const at = slot % PAGE_SLOTS;
    const number = this.numbers[page]?.[at] ?? Number.NaN;
    if (!Number.isNaN(number)) return { value: number };
    const code = this.codes[page]?.[at] ?? MISSING;
    if (code === MISSING) return undefined;
    return code === OPAQUE ? null : { value: this.values[code]! };
  }

  /** The value's code, which it may get now; undefined when it is a number that is kept itself. */
  #encode(value: Value): number | undefined {
    if (!isKept(value)) return this.#refuse();
    const known = this.#dictionary.codeOf(value);
    if (known !== undefined) return known;
    if (typeof value === "number" && this.#distinctNumbers >= DISTINCT_NUMBERS_MAX) return undefined;
    const isFull = this.distinct >= limits.columnValuesMax || textBytesOf(value) > this.#budget.textBytes;
    return isFull ? this.#refuse() : this.#admit(value);
  }

  #admit(value: Value): number {
    const code = this.values.push(value) - 1;
    const bytes = textBytesOf(value);
    this.#dictionary.add(value, code);
    this.#budget.textBytes -= bytes;
    this.#textBytes += bytes;
    if (typeof value === "number") this.#distinctNumbers++;
    return code;
  }

  #refuse(): number {
    this.opaque++;
    return OPAQUE;
  }

  /** The page, in which the code has room. A page is widened by its first large code. */
  #codesFor(page: number, code: number): Codes {
    const codes = this.codes[page];
    if (code < BYTE_CODES) return this.#remember(page, codes ?? new Uint8Array(PAGE_SLOTS));
    if (codes instanceof Uint16Array) return codes;
    return this.#remember(page, codes === undefined ? new Uint16Array(PAGE_SLOTS) : new Uint16Array(codes));
  }

  #remember(page: number, codes: Codes): Codes {
    this.codes[page] = codes;
    return codes;
  }

  #numbersOf(page: number): Float64Array {
    this.numbers[page] ??= new Float64Array(PAGE_SLOTS).fill(Number.NaN);
    return this.numbers[page];
  }
}

/** The codes of values: of numbers and strings by themselves, which is quick, of all others by their JSON. */
class Dictionary {
  readonly #numbers = new NumberCodes();
  readonly #strings = new Map<string, number>();
  readonly #others = new Map<string, number>();

  codeOf(value: Value): number | undefined {
    if (typeof value === "number") return this.#numbers.get(value);
    return typeof value === "string" ? this.#strings.get(value) : this.#others.get(valueText(value));
  }

  add(value: Value, code: number): void {
    if (typeof value === "number") this.#numbers.add(value, code);
    else if (typeof value === "string") this.#strings.set(value, code);
    else this.#others.set(valueText(value), code);
  }
}

/** Whether a dictionary takes such a value: no long text, and not -0, which a Map does not tell from 0. */
function isKept(value: Value): boolean {
  if (typeof value === "number") return !Object.is(value, -0);
  return textOf(value).length <= limits.columnValueLengthMax;
}

const textOf = (value: Value): string => (typeof value === "string" ? value : valueText(value));

/** Bytes that a value takes of the budget of texts. */
const textBytesOf = (value: Value): number => (typeof value === "number" ? 0 : 2 * textOf(value).length + 2);

/** A value as JSON, which tells infinite numbers apart too. */
export const valueText = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (isInfinite(part) ? { number: String(part) } : part));

/** What `valueText` was given. */
export const readValueText = (text: string): unknown =>
  JSON.parse(text, (_, part) => (typeof part?.number === "string" ? Number(part.number) : part));

const isInfinite = (part: unknown) => typeof part === "number" && !Number.isFinite(part);
