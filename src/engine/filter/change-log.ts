/**
 * Which slots got other attributes, in order. Several readers each go on where they stopped. Consecutive slots are one
 * range, so that a million appended ones take no memory.
 */

/** Beyond it all ranges become one that covers them: a reader then looks at slots that have not changed. */
const RANGES_MAX = 65_536;

export interface SlotRange {
  readonly from: number;
  /** The first slot behind it. */
  readonly to: number;
}

/** How far a reader is. */
export interface Position {
  /** Number of the next range. */
  readonly range: number;
  /** Slots of all ranges before it. */
  readonly slots: number;
}

export class ChangeLog {
  #ranges: SlotRange[] = [];
  /** Number of the first range that is kept. */
  #first = 0;
  #slots = 0;
  /** The last range is not made longer: a reader has seen it. */
  #isSealed = true;

  get end(): Position {
    return { range: this.#first + this.#ranges.length, slots: this.#slots };
  }

  /** Slots that changed since that position. */
  slotsSince({ slots }: Position): number {
    return this.#slots - slots;
  }

  add(from: number, to: number): void {
    const last = this.#isSealed ? undefined : this.#ranges.at(-1);
    this.#slots += to - from;
    if (last?.to === from) {
      this.#ranges[this.#ranges.length - 1] = { from: last.from, to };
      return;
    }
    this.#ranges.push({ from, to });
    this.#isSealed = false;
    if (this.#ranges.length > RANGES_MAX) this.#merge();
  }

  /** The end, where a reader that reads everything until now goes on. */
  seal(): Position {
    this.#isSealed = true;
    return this.end;
  }

  /** The ranges between two positions; of those that are gone, the first that is kept has all slots. */
  between(from: Position, to: Position): readonly SlotRange[] {
    return this.#ranges.slice(Math.max(from.range - this.#first, 0), Math.max(to.range - this.#first, 0));
  }

  /** No reader needs the ranges before that number any more. */
  forget(range: number): void {
    const count = Math.min(range - this.#first, this.#ranges.length);
    if (count <= 0) return;
    this.#ranges = this.#ranges.slice(count);
    this.#first += count;
  }

  #merge(): void {
    const from = this.#ranges.reduce((least, range) => Math.min(least, range.from), Number.POSITIVE_INFINITY);
    const to = this.#ranges.reduce((most, range) => Math.max(most, range.to), 0);
    this.#first += this.#ranges.length - 1;
    this.#ranges = [{ from, to }];
  }
}
