/**
 * How long the longest turn of the event loop was since clients are served: for so long every request had to wait. For
 * INFO, and for the test and the benchmark that hold every command to it.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

/** How often the loop is looked at; a turn may be so much longer than what is told of it. */
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
