/**
 * VSTORE.SCAN: all keys, a few at a time. COUNT says how many keys one call looks at; with MATCH it may return
 * fewer, or none, before the end. It looks at fewer keys when comparing them with the pattern takes too long, or when
 * the answer would become too large. With attributes or expiry times a page is all that a copy of the collection needs
 * beside the vectors, which MGET reads.
 */
import type { Collection } from "../../engine/collection.ts";
import { TimeSlice } from "../../engine/time-slice.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import {
  afterToken,
  collection,
  flag,
  integerValue,
  options,
  sequence,
  value,
} from "../grammar/arguments.ts";
import { filter } from "../grammar/filter.ts";
import { globMatches } from "../grammar/glob.ts";
import { globPattern } from "../grammar/values.ts";
import { roomFor } from "../wire/answer-size.ts";
import type { Reply } from "../wire/reply.ts";

/** Keys, and comparisons of bytes, between two looks at the clock. */
const pageKeysMax = 500;
const pageStepsMax = 1_000_000;
/** Keys whose attributes are read in one go, at most 4 MiB. */
const pageAttributesMax = 64;
/** What RESP3 puts around the details of a key, and the digits of a time. */
const detailBytes = 48;

const NO_EXPIRY = -1;

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
      withAttributes: flag("WITHATTRS", "with the attributes of each key"),
      withExpireTime: flag("WITHEXPIRETIME", "with the time at which each key expires"),
    }),
  }),
  reply:
    "array of the next cursor (0 at the end) and an array of keys; with details an array of arrays: a key, its JSON or nil (WITHATTRS), and when it expires in ms since 1970, -1 for never (WITHEXPIRETIME)",
  replyType: "[cursor: Text, keys: (Text | [key: Text, ...details: (Text | number | null)[]])[]]",
  async run(context, { collection: name, cursor, options }) {
    const { catalog } = context;
    const { match, filter: expression, count = limits.scanCountDefault } = options;
    const slice = new TimeSlice();
    const pageKeys = pageKeysFor(match, options);
    const found: Reply[] = [];
    let at = cursor;
    let [steps, bytes] = [0, 0];
    const isEnough = () => steps >= limits.patternStepsMax || bytes >= limits.scanBytesMax;
    await roomFor(context, options.withAttributes ? attributesBytes(count) : 0);
    for (let left = count; left > 0 && !isEnough(); left -= pageKeys) {
      const target = catalog.get(name);
      const among = expression === undefined ? undefined : await target.matching.slots(expression);
      const page = target.scan(at, Math.min(left, pageKeys), among);
      at = page.cursor;
      for (const key of page.keys) {
        steps += key.length * (match?.length ?? 0);
        if (match !== undefined && !globMatches(match, key)) continue;
        const details = detailsOf(target, key, options);
        found.push(details.length === 0 ? key : [key, ...details]);
        bytes += key.length + (details.length === 0 ? 0 : detailBytes + (details[0]?.toString().length ?? 0));
      }
      if (at === 0) break;
      if (slice.spent) await slice.pause();
    }
    return [String(at), found];
  },
});

interface Wanted {
  readonly withAttributes?: true | undefined;
  readonly withExpireTime?: true | undefined;
}

/** In the order in which the reply has them. */
function detailsOf(target: Collection, key: Uint8Array, { withAttributes, withExpireTime }: Wanted) {
  const details: (string | number | null)[] = [];
  if (withAttributes) details.push(target.getAttributes(key) ?? null);
  if (withExpireTime) {
    const deadline = target.lifetimes.deadlineOf(key);
    details.push(deadline !== undefined && Number.isFinite(deadline) ? deadline : NO_EXPIRY);
  }
  return details;
}

/** At most, of so many keys. */
function attributesBytes(count: number): number {
  const { attributesBytesMax, keyBytesMax, scanBytesMax } = limits;
  return Math.min(
    count * (attributesBytesMax + keyBytesMax),
    scanBytesMax + pageAttributesMax * attributesBytesMax,
  );
}

/** A comparison takes as many steps as pattern and key have bytes, multiplied. */
function pageKeysFor(pattern: Uint8Array | undefined, { withAttributes }: Wanted): number {
  if (withAttributes) return pageAttributesMax;
  const keys = Math.floor(pageStepsMax / ((pattern?.length || 1) * limits.keyBytesMax));
  return Math.max(1, Math.min(keys, pageKeysMax));
}
