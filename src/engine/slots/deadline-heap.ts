/**
 * Slots in the order of their deadlines, the lower slot first where those are equal: a binary heap, the earliest on
 * top. It knows where in it each slot is, so any slot can leave at any time, and renewing a deadline for ever leaves
 * nothing behind.
 */
import { TimeSlice } from "../time-slice.ts";
import { NONE } from "./key-table.ts";
import { SlotNumbers } from "./slot-numbers.ts";

/** Slots added between two looks at the clock. */
const SLOTS_PER_LOOK = 64;

export class DeadlineHeap {
  /** Of all slots, in ms since 1970; 0 for none. */
  readonly deadlines: SlotNumbers;
  readonly #slots: number[] = [];
  /** Index in #slots plus one; 0 for a slot that is not there. */
  readonly #places = new SlotNumbers(Uint32Array);

  /** @param deadlines of all slots; a slot's must not change while it is in here */
  constructor(deadlines: SlotNumbers) {
    this.deadlines = deadlines;
  }

  /** All slots that have a deadline, in slices. */
  static async of(deadlines: SlotNumbers): Promise<DeadlineHeap> {
    const heap = new DeadlineHeap(deadlines);
    const slice = new TimeSlice();
    for (const slot of deadlines.slots()) {
      heap.add(slot);
      if (heap.size % SLOTS_PER_LOOK === 0 && slice.spent) await slice.pause();
    }
    return heap;
  }

  get size(): number {
    return this.#slots.length;
  }

  /** The slot with the earliest deadline, or NONE. */
  get top(): number {
    return this.#slots[0] ?? NONE;
  }

  /** In no particular order. */
  get slots(): readonly number[] {
    return this.#slots;
  }

  has(slot: number): boolean {
    return this.#places.get(slot) !== 0;
  }

  /** Adds a slot that is not there. */
  add(slot: number): void {
    this.#slots.push(slot);
    this.#rise(this.#slots.length - 1, slot);
  }

  /** Takes a slot out that is there. */
  delete(slot: number): void {
    const at = this.#places.get(slot) - 1;
    const last = this.#slots.pop()!;
    this.#places.set(slot, 0);
    if (last === slot) return;
    this.#rise(at, last);
    if (this.#slots[at] === last) this.#sink(at, last);
  }

  isBefore(a: number, b: number): boolean {
    const difference = this.deadlines.get(a) - this.deadlines.get(b);
    return difference < 0 || (difference === 0 && a < b);
  }

  /** Puts the slot at `at`, or as far up as it belongs. */
  #rise(at: number, slot: number): void {
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#slots[parent]!;
      if (!this.isBefore(slot, above)) break;
      this.#put(at, above);
      at = parent;
    }
    this.#put(at, slot);
  }

  /** Puts the slot at `at`, or as far down as it belongs. */
  #sink(at: number, slot: number): void {
    for (let child = 2 * at + 1; child < this.#slots.length; child = 2 * at + 1) {
      if (child + 1 < this.#slots.length && this.isBefore(this.#slots[child + 1]!, this.#slots[child]!))
        child++;
      const below = this.#slots[child]!;
      if (!this.isBefore(below, slot)) break;
      this.#put(at, below);
      at = child;
    }
    this.#put(at, slot);
  }

  #put(at: number, slot: number): void {
    this.#slots[at] = slot;
    this.#places.set(slot, at + 1);
  }
}
