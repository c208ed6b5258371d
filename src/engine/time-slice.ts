/**
 * Long work on the event loop's thread is cut into slices, so that requests are never kept waiting for it. All tasks
 * that are under way at the same time share one allowance for each turn of the loop, and what requests have taken of
 * the turn counts too: a hundred slices in a row would keep others waiting as long as one slice of that length.
 *
 * A task whose slice or turn is used up waits in a queue. When a turn has had nothing for those that wait, no other one
 * begins in the next one, and they have the whole allowance of it: so they go on in every second turn at least.
 */
import { setImmediate as nextTurn, setTimeout } from "node:timers/promises";
import { findAddon } from "./addon.ts";

/** Milliseconds that one slice may keep the event loop. */
export const SLICE_MS_MAX = 2;
/** Milliseconds after which a turn is used up: no slice goes on in it, and no request begins. */
export const TURN_MS_MAX = 8;
/** Milliseconds of a turn after which no step begins in it that is long itself. */
const LONG_STEP_BEGINS_MS_MAX = 2;
/** A turn of the event loop that took longer than this had requests to serve. */
const BUSY_TURN_MS_MIN = 0.2;
/** Time that is left to the requests then. */
const GIVE_WAY_MS = 4 * SLICE_MS_MAX;
/** Items that are made between two looks at the clock. */
const ITEMS_PER_LOOK = 64;
/** Pauses after which a task counts as long: short ones need not wait for a thousand of them. */
const SHORT_PAUSES_MAX = 4;

/** What the addon knows of the event loop. */
interface Loop {
  /** One number, another one in each turn. */
  readonly number: Uint32Array;
  /** Of the turn under way. */
  workedMs(): number;
}

/** The turn under way. Where nothing looks at the clock, it costs nothing. */
class Turn {
  /** Another one in each turn in which the clock was looked at. */
  number = -1;
  #loop: Loop | undefined;
  #began = 0;

  /** Milliseconds of work in this turn, until `now`. */
  usedMs(now: number): number {
    this.#loop ??= findAddon<{ measureTurns(): Loop }>()?.measureTurns() ?? new LoopByImmediates();
    const number = this.#loop.number[0]!;
    if (number !== this.number) {
      this.number = number;
      this.#began = now - this.#loop.workedMs();
    }
    return now - this.#began;
  }

  /** Whatever was done in it, those that wait have all of the allowance. */
  beginAnew(now: number): void {
    this.#began = now;
  }

  /** A long step takes all that is left of it. */
  take(): void {
    this.#began = Number.NEGATIVE_INFINITY;
  }
}

/** Without the addon a turn begins when the clock is first looked at, and ends with the loop's immediates. */
class LoopByImmediates implements Loop {
  readonly #number = new Uint32Array(1);
  #isWatched = false;

  get number(): Uint32Array {
    if (!this.#isWatched) setImmediate(() => this.#end());
    this.#isWatched = true;
    return this.#number;
  }

  workedMs(): number {
    return 0;
  }

  #end(): void {
    this.#isWatched = false;
    this.#number[0]!++;
  }
}

interface Paused {
  readonly goOn: () => void;
  /** Milliseconds that its turn may have been used until then. */
  readonly usedMsMax: number;
}

const turn = new Turn();
/** Tasks that wait, in the order in which they go on: one of these, then one of those. */
const paused = { short: [] as Paused[], long: [] as Paused[] };
let isLongNext = true;
/** The last turn in which one of them went on. */
let goneOnIn = -1;
/** A turn in which none of them went on, so that the one after it is theirs. */
let missedIn = -1;

const isOwed = () => missedIn !== -1 && missedIn !== turn.number;

/** The next task goes on, or all wait for another turn where this one is used up. */
function goOn(): void {
  const now = performance.now();
  const usedMs = turn.usedMs(now);
  const [first, other] = isLongNext ? [paused.long, paused.short] : [paused.short, paused.long];
  const queue = first.length > 0 ? first : other;
  if (isOwed()) turn.beginAnew(now);
  else if (usedMs >= queue[0]!.usedMsMax) {
    if (goneOnIn !== turn.number) missedIn = turn.number;
    setImmediate(goOn);
    return;
  }
  missedIn = -1;
  isLongNext = !isLongNext;
  goneOnIn = turn.number;
  const next = queue.shift()!;
  if (next.usedMsMax === LONG_STEP_BEGINS_MS_MAX) turn.take();
  next.goOn();
}

export class TimeSlice {
  readonly #msMax: number;
  #start = performance.now();
  #pauses = 0;

  /** @param msMax milliseconds of one slice */
  constructor(msMax: number = SLICE_MS_MAX) {
    this.#msMax = msMax;
  }

  /** True when the slice, or the turn, is used up; `await pause()` then. */
  get spent(): boolean {
    const now = performance.now();
    return now - this.#start >= this.#msMax || turn.usedMs(now) >= TURN_MS_MAX || isOwed();
  }

  /** Gives everything that waits for the event loop its turn. */
  pause(): Promise<void> {
    return this.#waitFor(TURN_MS_MAX);
  }

  /** Before a step that takes a good part of a turn and cannot be cut: two of them do not share a turn. */
  async beforeLongStep(): Promise<void> {
    const usedMs = turn.usedMs(performance.now());
    if (usedMs >= LONG_STEP_BEGINS_MS_MAX || isOwed()) await this.#waitFor(LONG_STEP_BEGINS_MS_MAX);
    else turn.take();
  }

  async #waitFor(usedMsMax: number): Promise<void> {
    const queue = ++this.#pauses > SHORT_PAUSES_MAX ? paused.long : paused.short;
    await new Promise<void>((resolve) => {
      queue.push({ goOn: resolve, usedMsMax });
      setImmediate(goOn);
    });
    this.#start = performance.now();
  }
}

/** What `make` makes of each of them, a slice at a time. */
export async function mapInSlices<T, Made>(items: readonly T[], make: (item: T) => Made): Promise<Made[]> {
  const made: Made[] = [];
  const slice = items.length > ITEMS_PER_LOOK ? new TimeSlice() : undefined;
  for (const item of items) {
    made.push(make(item));
    if (made.length % ITEMS_PER_LOOK === 0 && slice?.spent) await slice.pause();
  }
  return made;
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
