/**
 * The short way of a plain MSEARCH, as there is one for SEARCH:
 *
 *   collection count FP32 blob [COUNT n] [EF n] [WITHIN distance] [WITHDISTANCES]
 */
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import type { GraphSearchResults } from "../../engine/index/native-addon.ts";
import type { CollectionOptions } from "../../engine/options.ts";
import type { KeyTable } from "../../engine/slots/key-table.ts";
import { limits } from "../../limits.ts";
import { smallAnswerBytes } from "../wire/answer-size.ts";
import { encodeHead } from "../wire/resp3.ts";
import { assertWork } from "./msearch-work.ts";
import {
  encodeFound,
  isWord,
  type PlainSearch,
  queryOf,
  readOptions,
  shortWay,
  wholeNumber,
} from "./plain-search.ts";

/** Searches of one request. More are done some at a time on the other way. */
const queriesMax = 32;
/** Results of one request: their answer needs no room of its own. A result has a key and a distance. */
const resultsMax = Math.floor(smallAnswerBytes / (limits.keyBytesMax + 64));

export interface PlainMsearch {
  readonly count: number;
  /** The vectors, one after the other, and what is asked of each. */
  readonly search: PlainSearch;
}

/** Undefined where it is not plain. @param args of an MSEARCH */
export function readPlainMsearch(args: readonly Uint8Array[]): PlainMsearch | undefined {
  if (!shortWay.isOpen || args.length < 4 || !isWord(args[2]!, "FP32")) return undefined;
  const count = wholeNumber(args[1], queriesMax);
  const search = count > 0 ? readOptions(args, 4, args[3]!) : undefined;
  return search !== undefined && count * search.k <= resultsMax ? { count, search } : undefined;
}

/**
 * @param answer gets the encoded reply
 * @param fail called instead where a search has failed: the other way tells why
 * @returns false where the searches have to take the other way, and neither is ever called
 */
export function answerMsearchPlainly(
  catalog: Catalog,
  name: string,
  { count, search }: PlainMsearch,
  answer: (bytes: Buffer) => void,
  fail: () => void,
): boolean {
  const collection = catalog.withheld.has(name) ? undefined : catalog.find(name);
  if (collection === undefined || collection.options.shards !== undefined) return false;
  const queries = queriesIn(search.blob, count, collection.options);
  if (queries === undefined || !isLittle(count, search, collection)) return false;
  const replies = new Array<Buffer>(count + 1);
  replies[0] = encodeHead(count);
  let [left, hasFailed] = [count, false];
  const end = () => {
    if (--left > 0) return;
    if (hasFailed) fail();
    else answer(Buffer.concat(replies));
  };
  const refuse = () => {
    hasFailed = true;
    end();
  };
  for (const [i, query] of queries.entries()) {
    const take = (keys: KeyTable, found: GraphSearchResults, at: number) => {
      replies[i + 1] = encodeFound(keys, found, at, search);
      end();
    };
    // What is true of the first one is of all, as nothing comes in between.
    if (!collection.questions.askPlainly(query, search, take, refuse)) return false;
  }
  return true;
}

/** Undefined where one of them is none that the collection takes. */
function queriesIn(
  blob: Uint8Array,
  count: number,
  options: CollectionOptions,
): readonly Float32Array[] | undefined {
  const bytes = options.dimensions * Float32Array.BYTES_PER_ELEMENT;
  if (blob.length !== count * bytes) return undefined;
  const queries: Float32Array[] = [];
  for (let at = 0; at < blob.length; at += bytes) {
    const query = queryOf(blob.subarray(at, at + bytes), options);
    if (query === undefined) return undefined;
    queries.push(query);
  }
  return queries;
}

/** Whether it is not too much. What is too much is refused on the other way. */
function isLittle(
  queries: number,
  { k, ef }: PlainSearch,
  { options, rows, tailLength }: Collection,
): boolean {
  const { dimensions } = options;
  const work = { queries, wanted: k, ef: ef ?? options.ef, exact: false, rows, tail: tailLength, dimensions };
  try {
    assertWork(work);
    return true;
  } catch {
    return false;
  }
}
