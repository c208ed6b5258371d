/**
 * The operator `in`, in a time that depends on the lengths alone: an expression may apply it a hundred times to a text,
 * or to a tuple, that fills all attributes of a key.
 */
import { areEqual, toNumber, type Value } from "./value.ts";

/** Steps up to which a search that compares at each place is the fastest. */
const NAIVE_STEPS_MAX = 1 << 16;
/** Elements up to which a tuple is looked through each time. */
const LOOKED_THROUGH_MAX = 32;

/** `in`: an element of a tuple, or a part of a string. */
export function isIn(a: Value, b: Value): boolean {
  if (typeof b === "string") return typeof a === "string" && isPartOf(a, b);
  return Array.isArray(b) && isElementOf(a, b);
}

/** Whether `whole` contains `part`. */
function isPartOf(part: string, whole: string): boolean {
  if (part.length * whole.length <= NAIVE_STEPS_MAX) return whole.includes(part);
  return part.length <= whole.length && findByBorders(part, whole);
}

/** Never goes back in `whole` (Knuth, Morris & Pratt 1977). */
function findByBorders(part: string, whole: string): boolean {
  const borders = bordersOf(part);
  let matched = 0;
  for (let i = 0; i < whole.length; i++) {
    const code = whole.charCodeAt(i);
    while (matched > 0 && part.charCodeAt(matched) !== code) matched = borders[matched - 1]!;
    if (part.charCodeAt(matched) === code) matched++;
    if (matched === part.length) return true;
  }
  return false;
}

/** For each prefix, the length of the longest shorter one that it ends with. */
function bordersOf(text: string): Int32Array {
  const borders = new Int32Array(text.length);
  let length = 0;
  for (let i = 1; i < text.length; i++) {
    while (length > 0 && text.charCodeAt(i) !== text.charCodeAt(length)) length = borders[length - 1]!;
    if (text.charCodeAt(i) === text.charCodeAt(length)) length++;
    borders[i] = length;
  }
  return borders;
}

/** Whether the value equals one of the elements, as `==` has it. */
function isElementOf(value: Value, tuple: readonly Value[]): boolean {
  if (tuple.length <= LOOKED_THROUGH_MAX) return tuple.some((element) => areEqual(value, element));
  return membersOf(tuple).has(value);
}

/** The members of long tuples that were used. */
const known = new WeakMap<readonly Value[], Members>();

function membersOf(tuple: readonly Value[]): Members {
  const members = known.get(tuple) ?? new Members(tuple);
  known.set(tuple, members);
  return members;
}

/** The elements of a tuple as `==` compares them: texts as they are, all else as numbers. */
class Members {
  readonly #elements: readonly Value[];
  readonly #texts = new Set<string>();
  /** Of the elements that are no texts. A tuple within the tuple is 0. */
  readonly #numbers = new Set<number>();
  /** Of the texts, when they are needed. */
  #textNumbers: Set<number> | undefined;
  #hasNull = false;

  constructor(elements: readonly Value[]) {
    this.#elements = elements;
    for (const element of elements) {
      if (typeof element === "string") this.#texts.add(element);
      else if (element === null) this.#hasNull = true;
      else this.#numbers.add(toNumber(element));
    }
  }

  has(value: Value): boolean {
    if (value === null) return this.#hasNull;
    const number = toNumber(value);
    if (typeof value === "string" && this.#texts.has(value)) return true;
    if (Number.isNaN(number)) return false;
    if (this.#numbers.has(number)) return true;
    return typeof value !== "string" && this.#numbersOfTexts().has(number);
  }

  #numbersOfTexts(): Set<number> {
    this.#textNumbers ??= new Set(this.#elements.filter((each) => typeof each === "string").map(toNumber));
    return this.#textNumbers;
  }
}
