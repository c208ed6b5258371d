/**
 * VSTORE.SCAN: all keys, a few at a time. COUNT says how many keys one call looks at; with MATCH it may return
 * fewer, or none, before the end.
 */
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { afterToken, collection, integerValue, options, sequence, value } from "../grammar/arguments.ts";
import { globMatches } from "../grammar/glob.ts";
import { blob } from "../grammar/values.ts";

export const scan = define({
  name: "SCAN",
  summary: "Iterates over the keys of a collection.",
  complexity: "O(1) for every call, O(N) for a complete iteration",
  route: "queries",
  args: sequence({
    collection,
    cursor: integerValue("cursor", 0, Number.MAX_SAFE_INTEGER),
    options: options({
      match: afterToken("MATCH", value("pattern", "pattern", blob("a glob pattern"))),
      count: afterToken(
        "COUNT",
        integerValue("count", limits.scanCountMin, limits.scanCountMax),
        limits.scanCountDefault,
      ),
    }),
  }),
  reply: "array of the next cursor (0 at the end) and an array of keys",
  replyType: "[cursor: Text, keys: Text[]]",
  run({ catalog }, { collection: name, cursor, options: { match, count = limits.scanCountDefault } }) {
    const found = catalog.get(name).scan(cursor, count);
    const keys = match ? found.keys.filter((key) => globMatches(match, key)) : found.keys;
    return [String(found.cursor), keys];
  },
});
