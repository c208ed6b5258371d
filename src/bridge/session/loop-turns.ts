/**
 * The longest turn of the event loop since clients are served: every request had to wait that long. For
 * INFO, and for the test and the benchmark that hold every command to it.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

/** How often the loop is measured; a turn may be longer than reported by that much. */
const resolutionMs = 10;
const nsPerMs = 1_000_000;

export class LoopTurns {
  readonly #delays: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs });

  start(): void {
    this.#delays.enable();
  }

  stop(): void {
    this.#delays.disable();
  }

  get longestMs(): number {
    return Math.max(0, Math.round(this.#delays.max / nsPerMs) - resolutionMs);
  }
}
