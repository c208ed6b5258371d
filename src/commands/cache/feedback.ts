/** VSTORE.CACHE.FEEDBACK: whether an answer was right. reach.ts says what follows from it. */
import { define } from "../command.ts";
import { collection, options, sequence, value, word } from "../grammar/arguments.ts";
import { idBytes } from "../grammar/values.ts";
import { Double } from "../wire/reply.ts";
import { distance } from "./arguments.ts";
import { cacheOf, keyOf } from "./cache.ts";
import { countersOf, isReplayed } from "./counters.ts";
import { changedEntry, readEntry } from "./entry.ts";
import { type Report, reachOf, reportsMax } from "./reach.ts";

export const cacheFeedback = define({
  name: "CACHE.FEEDBACK",
  summary:
    "Reports whether an answer of a cache was right, so that its entry answers nearer or farther questions.",
  complexity: "O(1)",
  route: "log",
  caches: "only",
  args: sequence({
    collection,
    id: value("id", "string", idBytes),
    verdict: word("verdict", ["HIT", "FALSE"], "it was right, it was not"),
    options: options({ distance: distance("DISTANCE") }),
  }),
  reply: "the distance up to which the entry answers now; nil where there is no such entry",
  replyType: "number | null",
  run({ catalog, time }, { collection: name, id, verdict, options: { distance } }) {
    const { collection, options } = cacheOf(catalog, name);
    const key = keyOf(name, id);
    const entry = readEntry(collection.getAttributes(key, time));
    if (entry === undefined) return null;
    const { facts, scope } = entry;
    const isFalse = verdict === "FALSE";
    if (isFalse && !isReplayed(time))
      countersOf(collection).count(scope, (counts) => {
        counts.falseHits++;
      });
    const standard = facts.within ?? options.within;
    const current = facts.reach ?? standard;
    if (distance === undefined && !isFalse) return new Double(current);
    // Where no distance is told, the answer may have been as far away as the entry answers.
    const report: Report = [distance ?? current, isFalse ? 0 : 1];
    const reports = [...(facts.reports ?? []), report].slice(-reportsMax);
    const reach = reachOf(reports, standard, options.errorRate ?? 0);
    const changed = { ...facts, reports, reach };
    collection.setAttributes(key, changedEntry(entry.attributes, changed), time);
    return new Double(reach);
  },
});
