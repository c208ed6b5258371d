/** VSTORE.MSEARCH: many searches in one request, with the options of SEARCH. */
import type { Hit } from "../../engine/hits.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { afterToken, collection, integerValue, options, sequence, vectorBlob } from "../grammar/arguments.ts";
import { searchOptions } from "../grammar/search-options.ts";
import { toVectors } from "../grammar/vector.ts";
import { attributesRoom, replyOf } from "./hits.ts";

const { withValues: _values, fields: _fields, ...answered } = searchOptions;

export const msearch = define({
  name: "MSEARCH",
  summary: "Returns the nearest vectors to each of several.",
  complexity: "O(Q log N) with the index, Q being the number of queries and N the vectors of the collection",
  route: "queries",
  args: sequence({
    collection,
    count: integerValue("count", 1, limits.queriesMax),
    blob: afterToken("FP32", vectorBlob),
    options: options(answered),
  }),
  reply: "array with, for each query in order, what SEARCH would reply",
  replyType: "(Text[] | [key: Text, detail: number | Detail | (number | Detail)[]][])[]",
  pairsDepth: 2,
  async run(context, { collection: name, count, blob, options: wanted }) {
    const target = context.catalog.get(name);
    const { dimensions } = target.options;
    const { k = limits.countDefault, offset = 0 } = wanted;
    assertResults(count, k + offset);
    const queries = toVectors(blob, count, dimensions);
    const searches = Array.from({ length: count }, (_, i) => {
      const query = queries.subarray(i * dimensions, (i + 1) * dimensions);
      return target.search(query, { ...wanted, k, attributes: attributesRoom(context, wanted, k) });
    });
    const found: (readonly Hit[])[] = await Promise.all(searches);
    return found.map((hits) => replyOf(hits, wanted));
  },
});

function assertResults(queries: number, wanted: number): void {
  const { queriesResultsMax } = limits;
  if (queries * wanted <= queriesResultsMax) return;
  throw new VstoreError(
    "LIMIT",
    `the queries of one MSEARCH must ask for at most ${queriesResultsMax} results together, got ${queries} x ${wanted}`,
  );
}
