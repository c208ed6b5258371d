/**
 * VSTORE.SEARCH: the nearest vectors to a given one, or to those of keys. FIELDS names fields of hashes. Fields may
 * have any names, so FIELDS runs to the end of the request.
 */
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { collection, flag, oneOf, options, sequence } from "../grammar/arguments.ts";
import { partial, searchOptions } from "../grammar/search-options.ts";
import { vectorForms } from "../grammar/vector.ts";
import { assertValues, attributesRoom, partialReply, replyOf } from "./hits.ts";
import { likeKeys, toQuestion } from "./mean.ts";

export const searchQuery = oneOf("query", { ...vectorForms, like: likeKeys });

export const searchForms = {
  withSelf: flag("WITHSELF", "with the keys that were given, where they are several or one is after NOT KEY"),
  partial,
  ...searchOptions,
};

export const search = define({
  name: "SEARCH",
  summary: "Returns the nearest vectors, nearest first.",
  complexity:
    "O(log N) with the index, O(N) with EXACT and for a FILTER that was not used lately, N being the vectors of the " +
    "collection",
  route: "queries",
  args: sequence({
    collection,
    query: searchQuery,
    options: options(searchForms),
  }),
  reply:
    "array of keys; with details an array of pairs, nearest first: a key and its distance (WITHDISTANCES), its JSON or nil " +
    "(WITHATTRS), its string, map of fields, or nil (WITHVALUES), or an array of several of them in this order. RESP2 clients " +
    "get the pairs as one flat array. With PARTIAL a map: results, with pairs as arrays in RESP2 too, and missing, the names " +
    "of parts",
  replyType:
    "Text[] | [key: Text, detail: number | Detail | (number | Detail)[]][] | Map<'results' | 'missing', unknown>",
  pairsDepth: 1,
  async run(context, { collection: name, query, options }) {
    const target = context.catalog.get(name);
    assertValues(options, context);
    const { vector, without } = toQuestion(query, target, options.withSelf);
    const { k = limits.countDefault, ef, exact, within, filter, offset, distinct } = options;
    const attributes = attributesRoom(context, options, k);
    const wanted = { k, ef, exact, within, filter, offset, distinct, without, attributes };
    const reply = replyOf(await target.search(vector, wanted), options);
    return options.partial ? partialReply(reply, []) : reply;
  },
});
