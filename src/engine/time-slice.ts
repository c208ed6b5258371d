/** Long work on the event loop's thread is cut into slices, so that requests are never kept waiting for it. */
import { setImmediate, setTimeout } from "node:timers/promises";

/** Milliseconds that one slice may keep the event loop. */
export const SLICE_MS_MAX = 2;
/** A turn of the event loop that took longer than this had requests to serve. */
const BUSY_TURN_MS_MIN = 0.2;
/** Time that is left to the requests then. */
const GIVE_WAY_MS = 4 * SLICE_MS_MAX;

export class TimeSlice {
  readonly #msMax: number;
  #start = performance.now();

  /** @param msMax milliseconds of one slice */
  constructor(msMax: number = SLICE_MS_MAX) {
    this.#msMax = msMax;
  }

  /** True when the slice is used up; `await pause()` then. */
  get spent(): boolean {
    return performance.now() - this.#start >= this.#msMax;
  }

  /** Gives everything that waits for the event loop its turn. */
  async pause(): Promise<void> {
    await setImmediate();
    this.#start = performance.now();
  }
}

/** For background work: while requests keep coming, most of the time is theirs. */
export async function giveWay(): Promise<void> {
  const start = performance.now();
  await setImmediate();
  if (performance.now() - start > BUSY_TURN_MS_MIN) await setTimeout(GIVE_WAY_MS);
}
