/**
 * The sum of a weight over all live slots, kept as slots are born and die: for a limit on what a collection may hold. A
 * slot's weight follows from its attributes, and is the same for as long as the slot lives.
 *
 * The slots that are there when the sum begins are counted in slices. Those below `#counted` are in it; what is written
 * meanwhile lies above.
 */
import { TimeSlice } from "../time-slice.ts";
import type { Parts } from "./parts.ts";

export class LiveSum {
  #parts: Parts;
  readonly #weightOf: (attributes: Buffer) => number;
  #total = 0;
  #counted = 0;

  constructor(parts: Parts, weightOf: (attributes: Buffer) => number) {
    this.#parts = parts;
    this.#weightOf = weightOf;
  }

  /** Undefined until all slots are counted. */
  get total(): number | undefined {
    return this.#isWhole ? this.#total : undefined;
  }

  /** Counts the slots that are not counted yet. */
  async count(): Promise<void> {
    const slice = new TimeSlice();
    while (!this.#isWhole) {
      this.#countNext();
      if (slice.spent) await slice.pause();
    }
  }

  born(slot: number): void {
    if (slot === this.#counted) this.#countNext();
  }

  died(slot: number): void {
    if (slot < this.#counted) this.#total -= this.#weight(slot);
  }

  /** The same vectors are in other slots now. */
  moveTo(parts: Parts): void {
    const wasWhole = this.#isWhole;
    this.#parts = parts;
    this.#counted = wasWhole ? parts.segments.length : 0;
    if (!wasWhole) this.#total = 0;
  }

  get #isWhole(): boolean {
    return this.#counted >= this.#parts.segments.length;
  }

  #countNext(): void {
    const slot = this.#counted++;
    if (this.#parts.live.has(slot)) this.#total += this.#weight(slot);
  }

  #weight(slot: number): number {
    const text = this.#parts.attributes.get(slot);
    return text === undefined ? 0 : this.#weightOf(text);
  }
}
