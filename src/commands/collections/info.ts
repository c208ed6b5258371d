/** VSTORE.INFO: figures of one collection, or of the whole store. */

import { cacheFacts } from "../cache/counters.ts";
import { define } from "../command.ts";
import { collection, optional, sequence } from "../grammar/arguments.ts";
import { Double, type Reply } from "../wire/reply.ts";

export const info = define({
  name: "INFO",
  summary: "Returns facts about a collection, or about the whole store.",
  complexity: "O(1)",
  route: "queries",
  aboutSidecar: true,
  args: sequence({ collection: optional(collection) }),
  reply: "map of name to text or number",
  replyType: "Map<string, Text | number>",
  async run({ catalog, logFacts }, { collection: name }) {
    const wanted = name === undefined ? catalog.collections() : [catalog.get(name)];
    for (const each of wanted) await each.lifetimes.hideExpired();
    const stats = name === undefined ? catalog.stats() : catalog.get(name).stats();
    const ofCache = name === undefined ? {} : await cacheFacts(catalog.get(name));
    const facts = { ...stats, ...logFacts?.(name), ...ofCache };
    return new Map(Object.entries(facts).map(([name, fact]) => [name, toReply(fact)]));
  },
});

function toReply(fact: string | number): Reply {
  return typeof fact === "string" || Number.isInteger(fact) ? fact : new Double(fact);
}
