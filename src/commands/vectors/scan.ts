/**
 * VSTORE.SCAN: all keys, a few at a time. COUNT says how many keys one call looks at; with MATCH it may return
 * fewer, or none, before the end. It looks at fewer keys when comparing them with the pattern takes too long, or when
 * the answer would become too large.
 */
import { TimeSlice } from "../../engine/time-slice.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { afterToken, collection, integerValue, options, sequence, value } from "../grammar/arguments.ts";
import { filter } from "../grammar/filter.ts";
import { globMatches } from "../grammar/glob.ts";
import { globPattern } from "../grammar/values.ts";

/** Keys, and comparisons of bytes, between two looks at the clock. */
const pageKeysMax = 500;
const pageStepsMax = 1_000_000;

export const scan = define({
  name: "SCAN",
  summary: "Iterates over the keys of a collection.",
  complexity: "O(1) for every call, O(N) for a complete iteration",
  route: "queries",
  args: sequence({
    collection,
    cursor: integerValue("cursor", 0, Number.MAX_SAFE_INTEGER),
    options: options({
      match: afterToken("MATCH", value("pattern", "pattern", globPattern)),
      filter,
      count: afterToken(
        "COUNT",
        integerValue("count", limits.scanCountMin, limits.scanCountMax),
        limits.scanCountDefault,
      ),
    }),
  }),
  reply: "array of the next cursor (0 at the end) and an array of keys",
  replyType: "[cursor: Text, keys: Text[]]",
  async run({ catalog }, { collection: name, cursor, options }) {
    const { match, filter: expression, count = limits.scanCountDefault } = options;
    const slice = new TimeSlice();
    const pageKeys = pageKeysFor(match);
    const found: Uint8Array[] = [];
    let at = cursor;
    let [steps, bytes] = [0, 0];
    const isEnough = () => steps >= limits.patternStepsMax || bytes >= limits.scanBytesMax;
    for (let left = count; left > 0 && !isEnough(); left -= pageKeys) {
      const target = catalog.get(name);
      const among = expression === undefined ? undefined : await target.matching.slots(expression);
      const page = target.scan(at, Math.min(left, pageKeys), among);
      at = page.cursor;
      for (const key of page.keys) {
        steps += key.length * (match?.length ?? 0);
        if (match !== undefined && !globMatches(match, key)) continue;
        found.push(key);
        bytes += key.length;
      }
      if (at === 0) break;
      if (slice.spent) await slice.pause();
    }
    return [String(at), found];
  },
});

/** A comparison takes as many steps as pattern and key have bytes, multiplied. */
function pageKeysFor(pattern: Uint8Array | undefined): number {
  const keys = Math.floor(pageStepsMax / ((pattern?.length || 1) * limits.keyBytesMax));
  return Math.max(1, Math.min(keys, pageKeysMax));
}
