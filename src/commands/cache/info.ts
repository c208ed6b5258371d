/** VSTORE.CACHE.INFO: figures of a cache, or of one scope of it. */
import type { Collection } from "../../engine/collection.ts";
import type { Bitmap } from "../../engine/slots/bitmap.ts";
import { TimeSlice } from "../../engine/time-slice.ts";
import { define } from "../command.ts";
import { collection, options, sequence } from "../grammar/arguments.ts";
import { Double, type Reply } from "../wire/reply.ts";
import { scope } from "./arguments.ts";
import { cacheOf, scopeDigest, scopeFilter, wholeScope } from "./cache.ts";
import { bytesOf, CacheCounts, countersOf, countFacts } from "./counters.ts";
import { readEntry } from "./entry.ts";

/** Entries that are read between two looks at the clock. */
const pageKeys = 64;

export const cacheInfo = define({
  name: "CACHE.INFO",
  summary: "Returns the figures of a cache, or of one scope of it.",
  complexity:
    "O(N), N being the entries of the scope; O(1) for the whole cache, once its entries were counted",
  route: "queries",
  aboutSidecar: true,
  args: sequence({ collection, options: options({ scope }) }),
  reply:
    "map of name to number: entries, bytes (of their values), hits, exact_hits (among the hits), verifies, misses, " +
    "false_hits and saved_ms since the sidecar began; of the whole cache also evictions, max_bytes (0: any number), within " +
    "and error_rate",
  replyType: "Map<string, Text | number>",
  async run({ catalog }, { collection: name, options: given }) {
    const { collection, options } = cacheOf(catalog, name);
    const counters = countersOf(collection);
    if (given.scope === undefined) {
      const { within, errorRate = 0, maxBytes = 0 } = options;
      const { evictions } = counters;
      const size = await wholeSize(collection);
      const facts = { ...size, max_bytes: maxBytes, ...countFacts(counters.all), evictions };
      return toReply(facts, { within, error_rate: errorRate });
    }
    const whole = scopeDigest(wholeScope(options, given.scope));
    const counts = counters.ofScope(whole) ?? new CacheCounts();
    const filter = scopeFilter(whole);
    const among = filter === undefined ? undefined : await collection.matching.slots(filter);
    const size = among === undefined ? await wholeSize(collection) : await sizeOf(collection, among);
    return toReply({ ...size, ...countFacts(counts) }, {});
  },
});

function toReply(whole: Record<string, number>, real: Record<string, number>): Reply {
  const doubles = Object.entries(real).map(([name, each]): [string, Reply] => [name, new Double(each)]);
  return new Map<string, Reply>([...Object.entries(whole), ...doubles]);
}

interface Size {
  readonly entries: number;
  readonly bytes: number;
}

async function wholeSize(collection: Collection): Promise<Size> {
  await collection.lifetimes.hideExpired();
  return { entries: collection.length, bytes: await bytesOf(collection) };
}

/** Looks at each of these entries, a slice at a time. What is written meanwhile may count or not. */
async function sizeOf(collection: Collection, among: Bitmap): Promise<Size> {
  const slice = new TimeSlice();
  let [entries, bytes, cursor] = [0, 0, 0];
  do {
    const page = collection.scan(cursor, pageKeys, among);
    cursor = page.cursor;
    for (const key of page.keys) {
      entries++;
      bytes += readEntry(collection.getAttributes(key))?.facts.bytes ?? 0;
    }
    if (slice.spent) await slice.pause();
  } while (cursor !== 0);
  return { entries, bytes };
}
