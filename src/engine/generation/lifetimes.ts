/**
 * How long the keys of a collection live: how writes set and remove deadlines, and what time is left. Writes depend on
 * the log alone, and `time` is that of the entry, so that a replay does the same again; see expiry.ts.
 */

import { NONE } from "../slots/key-table.ts";
import { DEADLINE_RECORD_BYTES, REMOVE_BYTES } from "../slots/keys.ts";
import type { Generation } from "./generation.ts";

/**
 * Conditions for a change of the deadline: there is none, there is one, the new one is later, the new one is earlier.
 */
export const deadlineConditions = ["NX", "XX", "GT", "LT"] as const;
export type DeadlineCondition = (typeof deadlineConditions)[number];

export class Lifetimes {
  /** The one that a compaction last put in place. */
  readonly #generation: () => Generation;

  constructor(generation: () => Generation) {
    this.#generation = generation;
  }

  /** Keys with a deadline. */
  get expiring(): number {
    return this.#generation().expiry.expiring;
  }

  /** Those of them that have expired and wait for a sweep; no read finds them. */
  get expired(): number {
    return this.#generation().expiry.expired;
  }

  /** When the key expires, in ms since 1970: infinity for never; undefined when there is no such key. */
  deadlineOf(key: Uint8Array): number | undefined {
    const generation = this.#generation();
    const slot = generation.slotNow(key);
    if (slot === NONE) return undefined;
    return generation.expiry.deadlineOf(slot) || Number.POSITIVE_INFINITY;
  }

  /** Milliseconds that the key has left: infinitely many without a deadline; undefined when there is no such key. */
  left(key: Uint8Array): number | undefined {
    const deadline = this.deadlineOf(key);
    return deadline === undefined ? undefined : deadline - this.#generation().expiry.now;
  }

  /**
   * Gives the key a deadline, in ms since 1970; one that is past removes the key.
   *
   * @returns false when there is no such key, or the condition does not hold
   * @throws {VstoreError} FULL
   */
  expire(key: Uint8Array, deadline: number, condition?: DeadlineCondition, time = Date.now()): boolean {
    const generation = this.#generation();
    const slot = generation.slotAt(key, time);
    if (slot === NONE || !isMet(condition, generation.expiry.deadlineOf(slot), deadline)) return false;
    generation.ensure(0, DEADLINE_RECORD_BYTES, 0); // a removal takes less
    if (deadline <= time) generation.remove(key);
    else generation.setDeadline(slot, deadline);
    return true;
  }

  /** Removes the key's deadline; false when it has none, or there is no such key. @throws {VstoreError} FULL */
  persist(key: Uint8Array, time = Date.now()): boolean {
    const generation = this.#generation();
    const slot = generation.slotAt(key, time);
    if (slot === NONE || generation.expiry.deadlineOf(slot) === 0) return false;
    generation.ensure(0, DEADLINE_RECORD_BYTES, 0);
    generation.setDeadline(slot, 0);
    return true;
  }

  /**
   * Removes at most `max` expired keys, earliest deadline first; returns how many. @throws {VstoreError} FULL
   */
  sweep(max: number, time = Date.now()): number {
    const generation = this.#generation();
    generation.ensure(0, max * REMOVE_BYTES, 0);
    for (let swept = 0; swept < max; swept++) {
      const slot = generation.expiry.firstPast(time);
      if (slot === NONE) return swept;
      generation.remove(generation.parts.keys.table.keyOf(slot));
    }
    return max;
  }

  /**
   * Hides expired keys in slices, of which there may be millions. Reads of all keys need not look for them afterwards.
   */
  async hideExpired(): Promise<void> {
    if (this.expiring === 0) return;
    for (let done: Generation | undefined; done !== this.#generation(); ) {
      done = this.#generation();
      await done.expiry.hideExpired();
    }
  }
}

/** No deadline is later than any. */
function isMet(condition: DeadlineCondition | undefined, current: number, wanted: number): boolean {
  if (condition === undefined) return true;
  if (condition === "NX") return current === 0;
  if (condition === "XX") return current !== 0;
  const end = current === 0 ? Number.POSITIVE_INFINITY : current;
  return condition === "GT" ? wanted > end : wanted < end;
}
