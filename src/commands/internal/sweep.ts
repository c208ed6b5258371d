/**
 * SWEEP: removes keys that have expired by the time of its entry, earliest deadline first, in batches that do not stall
 * the event loop. The sidecar writes it, with its own time, into a collection's log, so that expired keys die at the
 * same place of the log in every replay. From another sender it removes no more than that.
 */
import { TimeSlice } from "../../engine/time-slice.ts";
import { define } from "../command.ts";
import { collection, sequence } from "../grammar/arguments.ts";

/** Expired keys that one entry removes: about 2 ms. */
export const sweepKeysMax = 500;

export const sweep = define({
  name: "SWEEP",
  summary: "Removes expired keys.",
  complexity: "O(K log N), K being the number of keys removed and N of those with an expiry",
  route: "log",
  caches: "also",
  internal: true,
  args: sequence({ collection }),
  reply: "the number of keys removed",
  replyType: "number",
  /** Lets requests come between two sweeps. */
  reserve: () => new TimeSlice().pause(),
  run({ catalog, time }, input) {
    return catalog.get(input.collection).lifetimes.sweep(sweepKeysMax, time);
  },
});
