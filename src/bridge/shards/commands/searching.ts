/**
 * SEARCH of all parts: each finds as many as are wanted of all, so the nearest of what they find are the nearest of
 * all. An offset is skipped after that.
 */
import type { Context } from "../../../commands/command.ts";
import { optionsAsGiven, parseArguments, sequence } from "../../../commands/grammar/arguments.ts";
import { toBlob, toVectors } from "../../../commands/grammar/vector.ts";
import { partialReply, replyOf } from "../../../commands/search/hits.ts";
import { type Keys, toQuestion } from "../../../commands/search/mean.ts";
import { msearch, msearchForms, msearchVectors } from "../../../commands/search/msearch.ts";
import { search, searchForms, searchQuery } from "../../../commands/search/search.ts";
import type { Reply } from "../../../commands/wire/reply.ts";
import { type Hit, KeySet } from "../../../engine/hits.ts";
import { TimeSlice } from "../../../engine/time-slice.ts";
import { VstoreError } from "../../../errors.ts";
import { limits } from "../../../limits.ts";
import type { FoundByPart } from "../found.ts";
import type { Word } from "../nodes/connection.ts";
import type { Parts, SearchOfParts } from "../parts.ts";
import type { Handler } from "./handler.ts";
import { nearestFirst, ValueLimit } from "./merge.ts";
import { bufferOf, vectorsOf } from "./reading.ts";

type Options = ReturnType<(typeof search.args)["parse"]>["options"];

/** The words of a request behind the collection, for what is passed on as it was given. */
const searchAsGiven = sequence({ query: searchQuery, options: optionsAsGiven(searchForms) });
const msearchAsGiven = sequence({ ...msearchVectors, options: optionsAsGiven(msearchForms) });

export const readSearch: Handler = async (parts, args, context) => {
  const { query, options } = parseArguments(search.args, args);
  assertForParts(options);
  const source = "like" in query ? await sourceOf(parts, query.like) : parts.home;
  const { vector, without } = toQuestion(query, source, options.withSelf);
  if (without.length > 0 && options.distinct !== undefined)
    throw new VstoreError(
      "ERR",
      "'DISTINCT' with several keys needs 'WITHSELF' where the collection has SHARDS",
    );
  const wanted = wantedOf(options, without.length);
  assertResults(wanted * parts.names.length, parts.names.length);
  const { options: given } = parseArguments(searchAsGiven, parts.wordsOf(args));
  const words = ["FP32", bufferOf(toBlob(vector)), ...optionWords(given, options, wanted)];
  const withAttributes = bringsAttributes(options);
  if (withAttributes) await roomOfAnswers(context, parts, wanted);
  const ofPart: SearchOfParts = { command: "SEARCH", words, withAttributes };
  if (!options.partial) {
    const found = await parts.searchAll(ofPart);
    return replyOf(await take(found, options, KeySet.of(without)), options);
  }
  const { found, missing } = await searchThoseThere(parts, ofPart);
  return partialReply(replyOf(await take(found, options, KeySet.of(without)), options), missing);
};

export const readMsearch: Handler = async (parts, args, context) => {
  const { count, blob, options } = parseArguments(msearch.args, args);
  toVectors(blob, count, parts.home.options.dimensions);
  const wanted = wantedOf(options);
  assertResults(count * wanted * parts.names.length, parts.names.length);
  const { options: given } = parseArguments(msearchAsGiven, parts.wordsOf(args));
  const words = [count, "FP32", bufferOf(blob), ...optionWords(given, options, wanted)];
  const withAttributes = bringsAttributes(options);
  if (withAttributes) await roomOfAnswers(context, parts, count * wanted);
  const ofPart: SearchOfParts = { command: "MSEARCH", words, withAttributes };
  const { found, missing } = options.partial
    ? await searchThoseThere(parts, ofPart)
    : { found: await parts.searchAll(ofPart), missing: [] };
  const slice = new TimeSlice();
  const replies: Reply[] = [];
  for (let query = 0; query < count; query++)
    replies.push(replyOf(await take(found, options, KeySet.of(undefined), slice), options));
  return options.partial ? partialReply(replies, missing) : replies;
};

/** What the parts that answer have found, and the names of the others. */
async function searchThoseThere(parts: Parts, ofPart: SearchOfParts) {
  const found = await parts.searchThoseThere(ofPart);
  const missing = parts.names.filter((_, part) => found[part] === undefined);
  return { found: found.filter((each) => each !== undefined), missing };
}

/** Waits until there is room for what the parts may answer: attributes of so many results from each. */
async function roomOfAnswers(context: Context, parts: Parts, results: number): Promise<void> {
  const { attributesBytesMax, keyBytesMax, answerBytesMax } = limits;
  const ofPart = Math.min(results * (attributesBytesMax + keyBytesMax), answerBytesMax);
  await context.answerRoom?.(ofPart * parts.names.length);
}

const bringsAttributes = ({ withAttributes, distinct }: Options) =>
  withAttributes === true || distinct !== undefined;

function assertForParts({ withValues }: Options): void {
  if (withValues)
    throw new VstoreError(
      "ERR",
      "'WITHVALUES' is not for collections with SHARDS: the values are on other nodes, which do not know what the " +
        "client may read; read them by the names that the search answers",
    );
}

function assertResults(all: number, parts: number): void {
  const { shardedResultsMax } = limits;
  if (all <= shardedResultsMax) return;
  const what = `COUNT and OFFSET of all queries must be at most ${Math.floor(shardedResultsMax / parts)} together`;
  throw new VstoreError("LIMIT", `${what} with SHARDS ${parts}`);
}

/** Results of each part: all that may be among those of the whole. */
function wantedOf({ k = limits.countDefault, offset = 0 }: Options, without = 0): number {
  const wanted = k + offset + without;
  if (wanted <= limits.countMax) return wanted;
  const what = `COUNT, OFFSET and the excluded keys must be at most ${limits.countMax} together, got ${wanted}`;
  throw new VstoreError("LIMIT", what);
}

type Given = ReturnType<(typeof searchAsGiven)["parse"]>["options"];

/** What follows the vector in the request of a part: how to search, as it was given, and what the merging needs. */
function optionWords(
  { ef, exact, within, filter, distinct }: Given,
  options: Options,
  count: number,
): Word[] {
  const given = [ef, exact, within, filter, distinct].flatMap((words) => words ?? []);
  const details = bringsAttributes(options) ? ["WITHDISTANCES", "WITHATTRS"] : ["WITHDISTANCES"];
  return ["COUNT", count, ...given.map(bufferOf), ...details];
}

/** The results of the whole, of the query whose turn is next. It gives way: DISTINCT parses the attributes of each. */
async function take(
  found: readonly FoundByPart[],
  options: Options,
  without: KeySet,
  slice = new TimeSlice(),
): Promise<Hit[]> {
  const { k = limits.countDefault, offset = 0, distinct } = options;
  const limit = distinct && new ValueLimit(distinct.field, distinct.per ?? 1);
  const hits: Hit[] = [];
  for (const hit of nearestFirst(found.map((part) => part.query()))) {
    if (slice.spent) await slice.pause();
    if (without.has(hit.key) || limit?.takes(hit) === false) continue;
    hits.push(hit);
    if (hits.length >= k + offset) break;
  }
  return hits.slice(offset);
}

/** The vectors of the keys of a question, wherever they are. */
async function sourceOf(parts: Parts, { like, unlike }: Keys) {
  const keys = [...like, ...unlike];
  const vectors = await vectorsOf(parts, keys);
  const byKey = new Map(keys.map((key, i) => [textOf(key), vectors[i]]));
  return { options: parts.home.options, get: (key: Uint8Array) => byKey.get(textOf(key)) };
}

const textOf = (key: Uint8Array): string => bufferOf(key).toString("latin1");
