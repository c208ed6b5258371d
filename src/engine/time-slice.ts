/** Long work on the event loop's thread is cut into slices, so that requests are never kept waiting for it. */
import { setImmediate } from "node:timers/promises";

/** Milliseconds that one slice may keep the event loop. */
export const SLICE_MS_MAX = 2;

export class TimeSlice {
  #start = performance.now();

  /** True when the slice is used up; `await pause()` then. */
  get spent(): boolean {
    return performance.now() - this.#start >= SLICE_MS_MAX;
  }

  /** Lets everything that waits for the event loop have its turn. */
  async pause(): Promise<void> {
    await setImmediate();
    this.#start = performance.now();
  }
}
