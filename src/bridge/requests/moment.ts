/**
 * When a request was made: the `at` of its entry, which the module writes, or, for a stream client without it, the
 * milliseconds of its id. Either may be wrong, or chosen by a producer. A time far ahead of the sidecar's own clock is
 * not believed: the entry is refused and leaves the log, so that no replay sees it later, when its time has come.
 */
import { sweep } from "../../commands/internal/sweep.ts";
import { millisecondsOf } from "../../engine/log-id.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { Request } from "./request.ts";

/** A SWEEP removes keys that have expired by its time, so its time must not be in the future. */
const aheadMsMax = ({ name }: Request): number => (name === sweep.name ? 0 : limits.clockAheadMsMax);

/**
 * The time by which the request is judged, in ms since 1970. A replay may find one that is ahead although it was
 * acknowledged, because the sidecar's own clock was wrong then: it counts as made now.
 */
export function timeOf(request: Request, now: number): number {
  return Math.min(claimed(request), now + aheadMsMax(request));
}

/**
 * @param replays whether a client may have been answered already: then a time that the module wrote is not refused
 * @returns undefined when the request's time may be believed
 */
export function aheadOf(request: Request, now: number, replays: boolean): VstoreError | undefined {
  const ahead = claimed(request) - now;
  if (ahead <= aheadMsMax(request) || (replays && request.at !== undefined)) return undefined;
  const what = request.at === undefined ? `the id ${request.id}` : "the time of the request";
  return new VstoreError(
    "TRYAGAIN",
    `${what} is ${ahead} ms ahead of the sidecar's clock, at most ${aheadMsMax(request)} are accepted; nothing was changed`,
  );
}

const claimed = ({ at, id }: Request): number => at ?? millisecondsOf(id);
