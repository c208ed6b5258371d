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

/** Measured: of a slot, and of a text with its list. */
const SLOT_BYTES = 10;
const TEXT_BYTES = 320;

interface SlotList {
  slots: number[];
  /** How many there were when the dead ones were last removed. */
  kept: number;
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
    if (list.slots.length > 2 * list.kept + DEAD_MIN) this.#removeDead(text, list);
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
      this.#lists.set(value, { slots: [slot], kept: 0 });
      return;
    }
    const { slots } = list;
    const at = placeOf(slots, slot);
    if (at === slots.length) slots.push(slot);
    else if (slots[at] !== slot) slots.splice(at, 0, slot);
  }

  #textInJson(slot: number): unknown {
    return (this.#source.attributes.parsed(slot) as Record<string, unknown> | undefined)?.[this.#field];
  }

  #removeDead(text: string, list: SlotList): void {
    list.slots = list.slots.filter((slot) => this.#source.live.has(slot));
    list.kept = list.slots.length;
    if (list.kept === 0) this.#lists.delete(text);
  }
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
