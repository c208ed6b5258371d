/** VSTORE.EXPLAIN: how a search with a filter would run. It evaluates the filter and does not search. */
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { afterToken, collection, integerValue, options, sequence } from "../grammar/arguments.ts";
import { filter } from "../grammar/filter.ts";
import { Double, type Reply } from "../wire/reply.ts";

export const explain = define({
  name: "EXPLAIN",
  summary: "Returns how a search with a filter would run: how many vectors match, and the plan.",
  complexity: "O(N) for a filter that was not used lately, N being the vectors of the collection",
  route: "queries",
  args: sequence({
    collection,
    filter,
    options: options({
      k: afterToken("COUNT", integerValue("count", limits.countMin, limits.countMax), limits.countDefault),
      ef: afterToken("EF", integerValue("ef", limits.efMin, limits.efMax), "that of the collection"),
    }),
  }),
  reply:
    "map: vectors; estimated_matches by a sample, and matches; plan (compare each match, hop from match to match, walk through " +
    "all); count and ef; columns used and fields without_column; slots_evaluated and json_read by the last evaluation, and " +
    "evaluation_ms of this one",
  replyType: "Map<string, Text | number | Text[]>",
  async run({ catalog }, { collection: name, filter, options: { k = limits.countDefault, ef } }) {
    const facts = await catalog.get(name).matching.explain(filter, k, ef);
    return new Map(Object.entries(facts).map(([fact, value]) => [fact, toReply(value)]));
  },
});

function toReply(value: string | number | readonly string[]): Reply {
  if (typeof value === "number" && !Number.isInteger(value)) return new Double(value);
  return typeof value === "object" ? [...value] : value;
}
