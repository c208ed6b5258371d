/**
 * The short way of a plain search, of what most searches are:
 *
 *   collection FP32 blob [COUNT n] [EF n] [WITHIN distance] [WITHDISTANCES]
 *
 * Its arguments are read by their place, and its answer is written straight from the table of keys: without a schema
 * for each argument, an object for each result, and a promise for each step. Whatever is odd about a request takes the
 * way of all others, which says what is wrong with it. The answers of both ways are the same to the byte.
 */
import type { Catalog } from "../../engine/catalog.ts";
import { allFinite, isZero } from "../../engine/index/distance.ts";
import type { GraphSearchResults } from "../../engine/index/native-addon.ts";
import type { CollectionOptions } from "../../engine/options.ts";
import type { KeyTable } from "../../engine/slots/key-table.ts";
import { limits } from "../../limits.ts";
import { readDouble } from "../grammar/numbers.ts";
import { encodeWith } from "../wire/resp3.ts";

/** The answer of more results takes a while, and is written in slices on the other way. */
const countMax = 64;

/** Whether there is a short way: for the whole process, and chosen before the first search. */
export const shortWay = { isOpen: true };

export interface PlainSearch {
  readonly blob: Uint8Array;
  readonly k: number;
  /** That of the collection where it is undefined. */
  readonly ef: number | undefined;
  readonly within: number;
  readonly withDistances: boolean;
}

/** Undefined where it is not plain. @param args of a SEARCH */
export function readPlainSearch(args: readonly Uint8Array[]): PlainSearch | undefined {
  if (!shortWay.isOpen || args.length < 3 || !isWord(args[1]!, "FP32")) return undefined;
  return readOptions(args, 3, args[2]!);
}

/** Of a request whose options begin at `from`, and whose vector or vectors are `blob`. */
export function readOptions(
  args: readonly Uint8Array[],
  from: number,
  blob: Uint8Array,
): PlainSearch | undefined {
  let [k, ef, within, withDistances] = [0, 0, Number.NaN, false];
  for (let at = from; at < args.length; at++) {
    const word = args[at]!;
    if (k === 0 && isWord(word, "COUNT")) {
      k = wholeNumber(args[++at], countMax);
      if (k === 0) return undefined;
    } else if (ef === 0 && isWord(word, "EF")) {
      ef = wholeNumber(args[++at], limits.efMax);
      if (ef === 0) return undefined;
    } else if (Number.isNaN(within) && isWord(word, "WITHIN")) {
      within = finiteNumber(args[++at]);
      if (Number.isNaN(within)) return undefined;
    } else if (!withDistances && isWord(word, "WITHDISTANCES")) withDistances = true;
    else return undefined;
  }
  return {
    blob,
    k: k === 0 ? limits.countDefault : k,
    ef: ef === 0 ? undefined : ef,
    within: Number.isNaN(within) ? Number.POSITIVE_INFINITY : within,
    withDistances,
  };
}

/**
 * @param answer gets the encoded reply
 * @param fail called instead where the search has failed: the other way tells why
 * @returns false where the search has to take the other way, and neither is ever called
 */
export function answerPlainly(
  catalog: Catalog,
  name: string,
  search: PlainSearch,
  answer: (bytes: Buffer) => void,
  fail: () => void,
): boolean {
  const collection = catalog.withheld.has(name) ? undefined : catalog.find(name);
  if (collection === undefined || collection.options.shards !== undefined) return false;
  const query = queryOf(search.blob, collection.options);
  if (query === undefined) return false;
  const take = (keys: KeyTable, found: GraphSearchResults, at: number) =>
    answer(encodeFound(keys, found, at, search));
  return collection.questions.askPlainly(query, search, take, fail);
}

/** Undefined where the collection takes no such vector. */
export function queryOf(
  blob: Uint8Array,
  { dimensions, metric }: CollectionOptions,
): Float32Array | undefined {
  const { buffer, byteOffset, length } = blob;
  if (length !== dimensions * Float32Array.BYTES_PER_ELEMENT) return undefined;
  const isAligned = byteOffset % Float32Array.BYTES_PER_ELEMENT === 0;
  const query = isAligned
    ? new Float32Array(buffer, byteOffset, dimensions)
    : new Float32Array(buffer.slice(byteOffset, byteOffset + length));
  return allFinite(query) && (metric !== "COSINE" || !isZero(query)) ? query : undefined;
}

export function encodeFound(
  keys: KeyTable,
  { counts, slots, distances }: GraphSearchResults,
  at: number,
  { k, withDistances }: Pick<PlainSearch, "k" | "withDistances">,
): Buffer {
  return encodeWith((writer) => {
    const first = at * k;
    const end = first + counts[at]!;
    keys.fetch(slots, first, end);
    writer.writeHead("*", end - first);
    for (let i = first; i < end; i++) {
      if (withDistances) writer.writeHead("*", 2);
      writer.writeKey(keys, slots[i]!);
      if (withDistances) writer.writeDouble(distances[i]!);
    }
  });
}

/** @param word in upper case */
export function isWord(bytes: Uint8Array, word: string): boolean {
  if (bytes.length !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    const byte = bytes[i]!;
    if ((byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte) !== word.charCodeAt(i)) return false;
  }
  return true;
}

/** From 1 to `max`; 0 where the digits are of no such number. */
export function wholeNumber(digits: Uint8Array | undefined, max: number): number {
  if (digits === undefined || digits.length > 5 || digits[0] === 0x30) return 0;
  let number = 0;
  for (const digit of digits) {
    if (digit < 0x30 || digit > 0x39) return 0;
    number = number * 10 + digit - 0x30;
  }
  return number <= max ? number : 0;
}

function finiteNumber(text: Uint8Array | undefined): number {
  const number = text === undefined ? Number.NaN : readDouble(text);
  return Number.isFinite(number) ? number : Number.NaN;
}
