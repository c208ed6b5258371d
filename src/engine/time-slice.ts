/**
 * Long work on the event loop's thread is cut into slices, so that requests are never kept waiting for it. All tasks
 * that are under way at the same time share one allowance for each turn of the loop: a hundred slices in a row would
 * keep requests waiting as long as one slice of that length.
 */
import { setImmediate as nextTurn, setTimeout } from "node:timers/promises";

/** Milliseconds that one slice may keep the event loop. */
export const SLICE_MS_MAX = 2;
/** Milliseconds that the slices of all tasks may keep it in one turn. */
const TURN_MS_MAX = 8;
/** A turn of the event loop that took longer than this had requests to serve. */
const BUSY_TURN_MS_MIN = 0.2;
/** Time that is left to the requests then. */
const GIVE_WAY_MS = 4 * SLICE_MS_MAX;

/** When the first slice of the current turn began; undefined until there is one. */
let turnStart: number | undefined;
/** Pauses after which a task counts as long: short ones need not wait for a thousand of them. */
const SHORT_PAUSES_MAX = 4;
/** Tasks that have used up their slice, in the order in which they go on. */
const paused = { short: [] as (() => void)[], long: [] as (() => void)[] };

function openTurn(now: number): number {
  if (turnStart === undefined) {
    turnStart = now;
    // It runs before all that pauses in this turn and goes on in the next one.
    setImmediate(() => {
      turnStart = undefined;
    });
  }
  return turnStart;
}

/** The next task goes on, or all wait for another turn where this one is used up. A turn begins with a long task. */
function goOn(): void {
  const now = performance.now();
  const isFirst = turnStart === undefined;
  if (now - openTurn(now) >= TURN_MS_MAX) {
    setImmediate(goOn);
    return;
  }
  const { short, long } = paused;
  const next = isFirst ? (long.shift() ?? short.shift()) : (short.shift() ?? long.shift());
  next!();
}

export class TimeSlice {
  readonly #msMax: number;
  #start = performance.now();
  #pauses = 0;

  /** @param msMax milliseconds of one slice */
  constructor(msMax: number = SLICE_MS_MAX) {
    this.#msMax = msMax;
    openTurn(this.#start);
  }

  /** True when the slice, or the turn, is used up; `await pause()` then. */
  get spent(): boolean {
    const now = performance.now();
    return now - this.#start >= this.#msMax || now - openTurn(now) >= Math.max(this.#msMax, TURN_MS_MAX);
  }

  /** Gives everything that waits for the event loop its turn. */
  async pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      paused[++this.#pauses > SHORT_PAUSES_MAX ? "long" : "short"].push(resolve);
      setImmediate(goOn);
    });
    this.#start = performance.now();
  }
}

/** For background work: while requests keep coming, most of the time is theirs. */
export async function giveWay(): Promise<void> {
  const start = performance.now();
  await nextTurn();
  if (performance.now() - start > BUSY_TURN_MS_MIN) await setTimeout(GIVE_WAY_MS);
}

/** Runs the work for all, so many at a time, even when one fails. @throws the error of the first one that failed */
export async function sideBySide<T>(
  items: readonly T[],
  max: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const waiting = [...items];
  const failures: unknown[] = [];
  const workOff = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop())
      await work(next).catch((error: unknown) => failures.push(error));
  };
  await Promise.all(Array.from({ length: max }, workOff));
  if (failures.length > 0) throw failures[0];
}
