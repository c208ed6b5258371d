/**
 * The slots that an expression is true of. Each use brings them up to date with what was written since the last one.
 */
import type { Attributes } from "../slots/attributes.ts";
import { Bitmap, WORD_BITS } from "../slots/bitmap.ts";
import type { Columns } from "../slots/columns.ts";
import type { ChangeLog, Position, SlotRange } from "./change-log.ts";
import type { Expression } from "./expression.ts";
import { BLOCK_SLOTS, blockSlotsOf, Scanner, UNSURE } from "./scanner.ts";

/** The attributes on which the expression is evaluated. */
export interface MatchSource {
  readonly attributes: Attributes;
  /** Slots that are alive. */
  readonly live: Bitmap;
  /** How many slots there are. */
  readonly slots: () => number;
}

/** The cost of an evaluation. */
export interface MatchCost {
  /** Slots looked at, and those of them whose JSON was read. */
  slots: number;
  fromJson: number;
}

export class MatchSet {
  readonly expression: Expression;
  /** The live slots that match. */
  readonly bitmap = new Bitmap();
  cost: MatchCost = { slots: 0, fromJson: 0 };
  /** Everything before it was looked at; undefined when nothing was. */
  #seen: Position | undefined;
  readonly #source: MatchSource;
  readonly #scanner: Scanner;
  /** An evaluation that has begun, and what is seen when it ends. */
  #evaluation: { readonly steps: Iterator<void>; readonly end: Position } | undefined;
  #copy: { readonly bitmap: Bitmap; readonly version: number } | undefined;

  /** The slots that may match, in order; undefined where it may be any. */
  readonly listed: (() => readonly number[]) | undefined;

  constructor(
    expression: Expression,
    source: MatchSource,
    columns: Columns,
    listed?: () => readonly number[],
  ) {
    this.expression = expression;
    this.listed = listed;
    this.#source = source;
    this.#scanner = new Scanner(expression, columns);
  }

  /** Bytes of memory, about. */
  get bytes(): number {
    return this.bitmap.byteLength + this.#scanner.bytes;
  }

  get seen(): Position | undefined {
    return this.#seen;
  }

  /** Number of the first range of changes that it has to look at still. */
  get needed(): number {
    return this.#seen?.range ?? this.#evaluation?.end.range ?? Number.POSITIVE_INFINITY;
  }

  /** A copy that does not change. */
  snapshot(): Bitmap {
    if (this.#copy?.version !== this.bitmap.version) {
      this.#copy = { bitmap: this.bitmap.intersection(), version: this.bitmap.version };
    }
    return this.#copy.bitmap;
  }

  /**
   * Looks at some of what has changed before `end`, which the columns have taken over.
   *
   * @returns false when nothing is left
   */
  step(changes: ChangeLog, end: Position): boolean {
    this.#evaluation ??= this.#begin(changes, end);
    if (!this.#evaluation.steps.next().done) return true;
    this.#seen = this.#evaluation.end;
    this.#evaluation = undefined;
    return this.#seen.range < end.range;
  }

  #begin(changes: ChangeLog, end: Position): { steps: Iterator<void>; end: Position } {
    return { steps: this.#evaluate(this.#ranges(changes, end)), end };
  }

  /** What to look at: all that has changed, or the slots that may match, where those are fewer. */
  #ranges(changes: ChangeLog, end: Position): Iterable<SlotRange> {
    const changed = this.#seen && changes.between(this.#seen, end);
    if (this.listed === undefined) return changed ?? [{ from: 0, to: this.#source.slots() }];
    const listed = this.listed();
    if (changed !== undefined && slotsIn(changed) <= listed.length) return changed;
    return rangesOf(listed);
  }

  *#evaluate(ranges: Iterable<SlotRange>): Generator<void> {
    const block = blockSlotsOf(this.expression);
    const verdicts = new Uint8Array(block);
    let isNew = true;
    for (const range of ranges) {
      if (isNew) this.cost = { slots: 0, fromJson: 0 };
      isNew = false;
      for (let from = range.from; from < range.to; ) {
        const to = Math.min(from + block - (from % block), range.to);
        this.#scanner.verdicts(from, to, verdicts);
        yield* this.#settle(from, verdicts.subarray(0, to - from));
        this.cost.slots += to - from;
        from = to;
      }
    }
  }

  *#settle(from: number, verdicts: Uint8Array): Generator<void> {
    const { live } = this.#source;
    for (let at = 0; at < verdicts.length; ) {
      const slot = from + at;
      const count = Math.min(WORD_BITS - (slot % WORD_BITS), verdicts.length - at);
      let [bits, unsure] = [0, false];
      for (let i = 0; i < count; i++) {
        bits |= (verdicts[at + i]! >>> 1) << i;
        unsure ||= verdicts[at + i] === UNSURE;
      }
      this.bitmap.setBits(slot, count, bits, live);
      for (let i = 0; unsure && i < count; i++) {
        if (verdicts[at + i] !== UNSURE) continue;
        this.bitmap.set(slot + i, live.has(slot + i) && this.#isTrueOfJson(slot + i));
        yield;
      }
      at += count;
    }
    yield;
  }

  #isTrueOfJson(slot: number): boolean {
    this.cost.fromJson++;
    const json = this.#source.attributes.parsed(slot);
    return json !== undefined && this.expression.matches(json);
  }
}

const slotsIn = (ranges: readonly SlotRange[]): number =>
  ranges.reduce((sum, { from, to }) => sum + to - from, 0);

/**
 * Consecutive slots are one range, a block at most, so that none takes long to find. Slots may be added between two of
 * them: one that comes again is looked at again.
 */
function* rangesOf(slots: readonly number[]): Generator<SlotRange> {
  for (let at = 0; at < slots.length; ) {
    const from = slots[at++]!;
    let to = from + 1;
    while (slots[at] === to && to - from < BLOCK_SLOTS) [at, to] = [at + 1, to + 1];
    yield { from, to };
  }
}
