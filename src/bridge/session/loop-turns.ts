/**
 * The longest turn of the event loop since clients are served: every request had to wait that long. For
 * INFO, and for the test and the benchmark that hold every command to it.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { findAddon } from "../../engine/addon.ts";

/** Without the addon: how often a timer looks; a turn may be longer than reported by that much. */
const resolutionMs = 10;
const nsPerMs = 1_000_000;

interface Meter {
  longestMs(): number;
  stop(): void;
}

export class LoopTurns {
  #meter: Meter | undefined;
  /** Of the meters that were stopped. */
  #longestMs = 0;

  start(): void {
    this.#meter ??= findAddon<{ measureTurns(): Meter }>()?.measureTurns() ?? timedMeter();
  }

  stop(): void {
    this.#longestMs = Math.max(this.#longestMs, this.#meter?.longestMs() ?? 0);
    this.#meter?.stop();
    this.#meter = undefined;
  }

  get longestMs(): number {
    return Math.round(Math.max(this.#longestMs, this.#meter?.longestMs() ?? 0));
  }
}

/** By a timer, which wakes an idle process a hundred times a second. */
function timedMeter(): Meter {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs });
  delays.enable();
  return {
    longestMs: () => Math.max(0, delays.max / nsPerMs - resolutionMs),
    stop: () => delays.disable(),
  };
}
