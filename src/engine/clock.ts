/**
 * The clocks by which reads judge what has expired. A wall clock may be set forwards or back, by mistake even, for a
 * moment. A key that expires by such a mistake is gone for good. So a sidecar believes a step only when it has lasted.
 */

/** In ms since 1970. */
export type Clock = () => number;

/** A difference from here on is a step; less is the usual correction. */
const stepMsMin = 1_000;
/** How long a step has to last before the clock follows it. */
const stepLastsMs = 60_000;

/** The wall clock, except that it stands still where that was set back. */
export function latestTime(wall: Clock = Date.now): Clock {
  let latest = 0;
  return () => {
    latest = Math.max(latest, wall());
    return latest;
  };
}

/** The wall clock without its short-lived steps: meanwhile it goes on as if there were none. */
export function steadyTime(wall: Clock = Date.now, monotonic: Clock = () => performance.now()): Clock {
  let offset = wall() - monotonic();
  let latest = 0;
  let steppedAt: number | undefined;
  return () => {
    const elapsed = monotonic();
    const offsetNow = wall() - elapsed;
    const isStep = Math.abs(offsetNow - offset) >= stepMsMin;
    steppedAt = isStep ? (steppedAt ?? elapsed) : undefined;
    if (steppedAt !== undefined && elapsed - steppedAt >= stepLastsMs) {
      steppedAt = undefined;
      latest = 0; // it may go back this once
      offset = offsetNow;
    } else if (!isStep) {
      offset = offsetNow;
    }
    latest = Math.max(latest, Math.floor(elapsed + offset));
    return latest;
  };
}
