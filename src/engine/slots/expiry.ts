/**
 * Which slots expire, and when. There are two clocks. A write judges by the time that its log entry names, so that a
 * replay decides as the first run did; a read judges by `now`, which no entry can move.
 *
 *   waiting → (its time has come by `now`) hidden → (a SWEEP in the log) dead
 *
 * No read finds a hidden slot, but the files still have it: only a write may kill it, and one that was sent before the
 * deadline and arrives after it may yet give it more time, which makes it waiting again. Nothing here costs anything
 * while no slot has a deadline. The slots' deadlines themselves are in keys.log.
 */

import { TimeSlice } from "../time-slice.ts";
import { Bitmap } from "./bitmap.ts";
import { DeadlineHeap } from "./deadline-heap.ts";
import { NONE } from "./key-table.ts";

/** When the keys of a write expire. */
export interface Lifetime {
  /** When the key expires, in ms since 1970; without it, or with 0, never. */
  readonly deadline?: number | undefined;
  /** As the key did before; a new one never. */
  readonly keepsDeadline?: boolean | undefined;
}

/** Slots hidden between two looks at the clock. */
const BATCH_SLOTS = 256;

export class Expiry {
  readonly #deadlines: DeadlineHeap["deadlines"];
  readonly #clock: () => number;
  readonly #waiting: DeadlineHeap;
  readonly #hidden: DeadlineHeap;
  /** Every bit but those of hidden slots; made when a search needs it. */
  #allowed: { readonly bitmap: Bitmap; readonly slots: number } | undefined;

  /** The time by which slots were hidden last. */
  #hiddenAt = 0;

  /**
   * @param expiring the slots that have a deadline; from now on they and their deadlines are changed here only
   * @param clock of the reads
   */
  constructor(expiring: DeadlineHeap, clock: () => number) {
    this.#deadlines = expiring.deadlines;
    this.#clock = clock;
    this.#waiting = expiring;
    this.#hidden = new DeadlineHeap(expiring.deadlines);
  }

  /** Slots with a deadline, hidden ones included. */
  get expiring(): number {
    return this.#waiting.size + this.#hidden.size;
  }

  /** Slots that are hidden now. */
  get expired(): number {
    this.#hide(Number.POSITIVE_INFINITY);
    return this.#hidden.size;
  }

  /** The time by which reads judge, in ms since 1970. */
  get now(): number {
    return this.#clock();
  }

  /** In ms since 1970; 0 for none. */
  deadlineOf(slot: number): number {
    return this.#deadlines.get(slot);
  }

  /** Whether the slot has expired by the time of a write. */
  isPast(slot: number, time: number): boolean {
    const deadline = this.#deadlines.get(slot);
    return deadline !== 0 && deadline <= time;
  }

  /** Whether reads must not find the slot. */
  isHidden(slot: number): boolean {
    const deadline = this.#deadlines.get(slot);
    return deadline !== 0 && deadline <= this.now;
  }

  /** Gives a live slot a deadline, or none with 0. */
  set(slot: number, deadline: number): void {
    if (this.#hidden.has(slot)) this.#allowed?.bitmap.add(slot);
    this.forget(slot);
    this.#deadlines.set(slot, deadline);
    if (deadline !== 0) this.#waiting.add(slot);
  }

  /** The slot is dead. A search that began before goes on not to find it. */
  forget(slot: number): void {
    if (this.#deadlines.get(slot) === 0) return;
    (this.#hidden.has(slot) ? this.#hidden : this.#waiting).delete(slot);
    if (this.#hidden.size === 0) this.#allowed = undefined;
    this.#deadlines.set(slot, 0);
  }

  /** The slot that expired first, if one has by the time of a write, or NONE. */
  firstPast(time: number): number {
    const [hidden, waiting] = [this.#hidden.top, this.#waiting.top];
    const isHiddenFirst = waiting === NONE || (hidden !== NONE && this.#hidden.isBefore(hidden, waiting));
    const first = isHiddenFirst ? hidden : waiting;
    return first !== NONE && this.isPast(first, time) ? first : NONE;
  }

  /**
   * Hides the slots that have expired by now, in slices: a million keys may expire in the same moment. Afterwards reads
   * of all slots together need not look for them.
   */
  async hideExpired(): Promise<void> {
    const slice = new TimeSlice();
    while (this.#hide(BATCH_SLOTS)) if (slice.spent) await slice.pause();
  }

  /**
   * The slots below `slots` that a search may find; undefined when nothing is hidden. It changes as slots are hidden.
   */
  allowed(slots: number): Bitmap | undefined {
    if (this.expired === 0) return undefined;
    if (this.#allowed === undefined || this.#allowed.slots < slots) {
      // With room for slots that are inserted next.
      this.#allowed = { bitmap: Bitmap.below(2 * slots), slots: 2 * slots };
      for (const slot of this.#hidden.slots) this.#allowed.bitmap.delete(slot);
    }
    return this.#allowed.bitmap;
  }

  /** Hides at most `max` slots; true when there may be more. */
  #hide(max: number): boolean {
    if (this.expiring === 0) return false;
    const { now } = this;
    if (now < this.#hiddenAt) this.#showAll();
    this.#hiddenAt = now;
    if (this.#waiting.size === 0) return false;
    for (let left = max; left > 0; left--) {
      const slot = this.#waiting.top;
      if (slot === NONE || !this.isPast(slot, now)) return false;
      this.#waiting.delete(slot);
      this.#hidden.add(slot);
      this.#allowed?.bitmap.delete(slot);
    }
    return true;
  }

  /** Shows all hidden slots again: the clock was wrong before, and was set back. */
  #showAll(): void {
    for (const slot of [...this.#hidden.slots]) {
      this.#hidden.delete(slot);
      this.#waiting.add(slot);
    }
    this.#allowed = undefined;
  }
}
