/**
 * Loaded into a sidecar (`--import`), it appends a line to the file TURNS_FILE for each long turn of its event loop:
 * milliseconds that the loop's thread worked. What it waited for a processor does not count, so the figure says what
 * the sidecar did, however busy the machine is.
 */
import { openSync, readSync, writeSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

/** How often the loop is looked at: short turns that follow each other for so long count as one. */
const resolutionMs = 2;
const toldMsMin = 1;
const nsPerMs = 1e6;

if (isMainThread) {
  const told = openSync(process.env.TURNS_FILE, "a");
  const schedule = openSync("/proc/self/schedstat", "r");
  const text = Buffer.alloc(64);
  /** The first of its numbers: nanoseconds that the thread ran. */
  const workedMs = () => {
    const length = readSync(schedule, text, 0, text.length, 0);
    return Number(text.toString("latin1", 0, length).split(" ")[0]) / nsPerMs;
  };
  let worked = workedMs();
  setInterval(() => {
    const ms = workedMs() - worked;
    if (ms >= toldMsMin) writeSync(told, `${ms.toFixed(1)}\n`);
    worked = workedMs();
  }, resolutionMs).unref();
}
