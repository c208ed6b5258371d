/**
 * Which slots have each text of one field. An expression `.field == "text"` that is new looks at those slots alone, and
 * not at all of the collection: in a cache of many scopes each lookup may be of another one.
 *
 * A list has every slot whose attributes have the text, in order, and may have more: dead ones, and ones that have
 * another text by now. An expression looks at each slot itself.
 *
 * They have no limit of their own: a slot is in one list for each text that it has had, and a compaction, which gives
 * dead slots up, begins with new lists. So their memory is bounded by the slots, as that of keys is.
 */
import type { Columns } from "../slots/columns.ts";
import type { Expression } from "./expression.ts";
import type { MatchSource } from "./match-set.ts";

/** Slots that are read between two looks at the clock. */
const SLOTS_PER_STEP = 1_024;
/** Dead slots of a list that are not worth removing. */
const DEAD_MIN = 32;
/** Slots of a list of which each use removes the dead: some 0.2 ms. */
const SWEPT_PER_USE = 16_384;

/** Measured: of a slot, and of a text with its list. */
const SLOT_BYTES = 10;
const TEXT_BYTES = 320;

interface SlotList {
  slots: number[];
  /** How many there were when the dead ones were last removed. */
  kept: number;
  /** A removal of dead ones that has begun: where in `slots` it goes on, and those before that live. */
  sweep: { at: number; readonly live: number[] } | undefined;
}

export class ValueLists {
  readonly #field: string;
  readonly #source: MatchSource;
  readonly #columns: Columns;
  readonly #lists = new Map<string, SlotList>();
  /** All slots below it are in their lists. */
  #filled = 0;

  constructor(field: string, source: MatchSource, columns: Columns) {
    this.#field = field;
    this.#source = source;
    this.#columns = columns;
  }

  /** The text that the expression compares the field with, if it does nothing else. */
  textOf({ root }: Expression): string | undefined {
    if (root.kind !== "binary" || root.operator !== "==") return undefined;
    const { left, right } = root;
    if (left.kind !== "field" || left.path.length !== 1 || left.path[0] !== this.#field) return undefined;
    return right.kind === "constant" && typeof right.value === "string" ? right.value : undefined;
  }

  /** Must be called when the columns have taken over the attributes of the slot. */
  take(slot: number, json: object | undefined): void {
    if (slot > this.#filled) return; // it is read from the columns when its turn comes
    this.#add(slot, (json as Record<string, unknown> | undefined)?.[this.#field]);
    if (slot === this.#filled) this.#filled++;
  }

  /** Reads some slots that were not taken one after the other: saved columns have them. False when none is left. */
  fill(): boolean {
    const end = Math.min(this.#filled + SLOTS_PER_STEP, this.#source.slots());
    if (this.#filled >= end) return false;
    const column = this.#columns.of([this.#field]);
    for (; this.#filled < end; this.#filled++) {
      if (!this.#source.live.has(this.#filled)) continue;
      const found = column === undefined ? null : column.get(this.#filled);
      this.#add(this.#filled, found === null ? this.#textInJson(this.#filled) : found?.value);
    }
    return true;
  }

  get isWhole(): boolean {
    return this.#filled >= this.#source.slots();
  }

  /** In order; whole once `fill` has nothing left to do. */
  slotsOf(text: string): readonly number[] {
    const list = this.#lists.get(text);
    if (list === undefined) return [];
    if (list.slots.length > 2 * list.kept + DEAD_MIN) this.#removeSomeDead(text, list);
    return list.slots;
  }

  /** Bytes of memory, about. */
  get bytes(): number {
    return SLOT_BYTES * this.#filled + TEXT_BYTES * this.#lists.size;
  }

  #add(slot: number, value: unknown): void {
    if (typeof value !== "string") return;
    const list = this.#lists.get(value);
    if (list === undefined) {
      this.#lists.set(value, { slots: [slot], kept: 0, sweep: undefined });
      return;
    }
    const { slots, sweep } = list;
    const at = insert(slots, slot);
    // The sweep has passed its place.
    if (at === undefined || sweep === undefined || at >= sweep.at) return;
    insert(sweep.live, slot);
    sweep.at++;
  }

  #textInJson(slot: number): unknown {
    return (this.#source.attributes.parsed(slot) as Record<string, unknown> | undefined)?.[this.#field];
  }

  /** A list that is replaced is left as it is: an expression may be looking at its slots. */
  #removeSomeDead(text: string, list: SlotList): void {
    list.sweep ??= { at: 0, live: [] };
    const { sweep, slots } = list;
    const end = Math.min(sweep.at + SWEPT_PER_USE, slots.length);
    for (; sweep.at < end; sweep.at++) {
      const slot = slots[sweep.at]!;
      if (this.#source.live.has(slot)) sweep.live.push(slot);
    }
    if (end < slots.length) return;
    list.slots = sweep.live;
    list.kept = sweep.live.length;
    list.sweep = undefined;
    if (list.kept === 0) this.#lists.delete(text);
  }
}

/** Puts a slot in its place, unless it is there. Gives the place, undefined where it was there. */
function insert(slots: number[], slot: number): number | undefined {
  const at = placeOf(slots, slot);
  if (slots[at] === slot) return undefined;
  if (at === slots.length) slots.push(slot);
  else slots.splice(at, 0, slot);
  return at;
}

/** Of the first one that is not less. */
function placeOf(slots: readonly number[], slot: number): number {
  let [low, high] = [0, slots.length];
  if (high > 0 && slots[high - 1]! < slot) return high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (slots[middle]! < slot) low = middle + 1;
    else high = middle;
  }
  return low;
}
