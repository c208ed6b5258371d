/**
 * The values of a filter expression and what its operators make of them. There is no boolean type: true and false are 1
 * and 0, in JSON too. Every conversion here is that of the filters of Redis vector sets; docs/filters.md warns of the
 * surprising ones.
 */

/**
 * A tuple is an array of the JSON, or `[…]` in the expression. A tuple within a tuple is EMPTY: its elements never
 * matter.
 */
export type Value = number | string | null | readonly Value[];

export const EMPTY: readonly Value[] = [];

/** A longer string is 0 as a number. */
const NUMBER_TEXT_BYTES_MAX = 255;
/** A run of digits is matched in one way only: no text takes these longer than its length says. */
const DECIMAL = /^[ \t\n\v\f\r]*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
const SPECIAL = /^[ \t\n\v\f\r]*([+-]?)(?:(inf(?:inity)?)|nan(?:\([0-9a-z_]*\))?)$/i;
const HEXADECIMAL = /^[ \t\n\v\f\r]*([+-]?)0x([0-9a-f]+(?:\.[0-9a-f]*)?|\.[0-9a-f]+)(?:p([+-]?\d+))?$/i;
const HEX_DIGIT_BITS = 4;

/**
 * The value of a member of a JSON object; undefined (no value) for an object, and for an array that has an object
 * anywhere in it.
 */
export function toValue(json: unknown): Value | undefined {
  if (typeof json === "boolean") return Number(json);
  if (typeof json === "number" || typeof json === "string" || json === null) return json;
  return Array.isArray(json) && !holdsObject(json) ? json.map(elementOf) : undefined;
}

function elementOf(json: unknown): Value {
  if (Array.isArray(json)) return EMPTY;
  return typeof json === "boolean" ? Number(json) : (json as Value);
}

/** Without recursion: the brackets of 64 KiB would exhaust the stack. */
function holdsObject(json: readonly unknown[]): boolean {
  const left: (readonly unknown[])[] = [json];
  for (let array = left.pop(); array !== undefined; array = left.pop()) {
    for (const element of array) {
      if (Array.isArray(element)) left.push(element);
      else if (typeof element === "object" && element !== null) return true;
    }
  }
  return false;
}

/** For arithmetic, `<` and its like, and `==` of different types. */
export function toNumber(value: Value): number {
  if (typeof value === "number") return value;
  return typeof value === "string" ? readNumber(value) : 0;
}

/** The number that C's strtod reads from the whole text; 0 when it reads less. */
function readNumber(text: string): number {
  if (text.length > NUMBER_TEXT_BYTES_MAX) return 0;
  if (DECIMAL.test(text)) return Number(text);
  const special = SPECIAL.exec(text);
  if (special !== null) {
    if (special[2] === undefined) return Number.NaN;
    return special[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  const hexadecimal = HEXADECIMAL.exec(text);
  return hexadecimal === null ? 0 : readHexadecimal(hexadecimal);
}

function readHexadecimal([, sign, digits, exponent]: RegExpExecArray): number {
  const [whole = "", fraction = ""] = digits!.split(".");
  const power = Number(exponent ?? 0) - HEX_DIGIT_BITS * fraction.length;
  const magnitude = Number(BigInt(`0x0${whole}${fraction}`)) * 2 ** power;
  return sign === "-" ? -magnitude : magnitude;
}

/** For `not`, `and`, `or`, and the result. NaN and every tuple are true. */
export function isTrue(value: Value): boolean {
  if (typeof value === "number") return value !== 0;
  return typeof value === "string" ? value !== "" : value !== null;
}

/** `==`: any two tuples are equal, and a string that is no number equals 0. */
export function areEqual(a: Value, b: Value): boolean {
  if (typeof a === "string" && typeof b === "string") return a === b;
  if (a === null || b === null) return a === b;
  return toNumber(a) === toNumber(b);
}

/** `**`: C's pow, which has two results where JavaScript has NaN. */
export function power(a: number, b: number): number {
  if (a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY)) return 1;
  return a ** b;
}
