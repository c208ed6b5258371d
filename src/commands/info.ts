/** VSTORE.INFO: figures of one collection, or of the whole store. */
import { collection, optional, sequence } from "./arguments.ts";
import { define } from "./command.ts";
import { Double, type Reply } from "./reply.ts";

export const info = define({
  name: "INFO",
  summary: "Returns facts about a collection, or about the whole store.",
  complexity: "O(1)",
  route: "queries",
  args: sequence({ collection: optional(collection) }),
  reply: "map of name to text or number",
  replyType: "Map<string, Text | number>",
  run({ catalog, logFacts }, input) {
    const stats = input.collection === undefined ? catalog.stats() : catalog.get(input.collection).stats();
    const facts = { ...stats, ...logFacts?.(input.collection) };
    return new Map(Object.entries(facts).map(([name, fact]) => [name, toReply(fact)]));
  },
});

function toReply(fact: string | number): Reply {
  return typeof fact === "string" || Number.isInteger(fact) ? fact : new Double(fact);
}
