/**
 * What filters need of one generation of a collection: columns that follow its attributes, and the slots that match the
 * expressions that were used last. A write notes that its slot has changed; columns take over short attributes with
 * the write, which has parsed them, and all others in the background or when a filter is used. Then the expression
 * looks at the slots that have changed since it last did. All of it runs in slices, so that no request waits for it.
 */

import { Columns } from "../slots/columns.ts";
import type { Flat } from "../slots/flat-json.ts";
import { giveWay, TimeSlice } from "../time-slice.ts";
import { ChangeLog, type Position } from "./change-log.ts";
import type { Expression } from "./expression.ts";
import { MatchSet, type MatchSource } from "./match-set.ts";
import { Scanner, UNSURE, YES } from "./scanner.ts";
import { ValueLists } from "./value-lists.ts";

/** Expressions whose matches are kept, and the bytes that those of one collection may take together. */
const SETS_MAX = 64;
const SET_BYTES_MAX = 64 * 1024 * 1024;
/** Up to so many changed slots wait for the next filter; with more the columns take them over by themselves. */
const BEHIND_MAX = 1_000;
/** What may be looked at at once, without a slice in between: bytes of JSON, and work as `weight` counts it. */
const AT_ONCE_BYTES_MAX = 64 * 1024;
const AT_ONCE_WORK_MAX = 2_048;
/** Bytes of JSON that are parsed between two looks at the clock, or one text. A short text counts as some bytes. */
const BYTES_PER_STEP = 16 * 1024;
const TEXT_BYTES_MIN = 1_024;
/** Slots that are looked at between two looks at the clock, where each takes next to no time. */
const SLOTS_PER_LOOK = 1_024;

/** Slots by which an estimate judges. */
const SAMPLE_SLOTS = 1_024;

/** How far both logs were at some moment. */
interface Ends {
  readonly changes: Position;
  readonly backlog: Position;
}

const START: Position = { range: 0, slots: 0 };

/** Columns that were saved, and the slots that they have to take over again. */
export interface SavedFilters {
  readonly columns: Columns;
  readonly backlog: ChangeLog;
}

/**
 * Columns that were saved hold all but what these slots have got since. What the file has of such a slot may be of any
 * moment since, so all of it has to go.
 */
export async function restoredFilters(columns: Columns, backlog: ChangeLog): Promise<SavedFilters> {
  const slice = new TimeSlice();
  for (const { from, to } of backlog.between(START, backlog.seal())) {
    for (let slot = from; slot < to; slot++) {
      columns.documents.add(slot);
      if (slot % SLOTS_PER_LOOK === 0 && slice.spent) await slice.pause();
    }
  }
  return { columns, backlog };
}

export class Filters {
  readonly columns: Columns;
  readonly #source: MatchSource;
  /** What the expressions have to look at again. */
  readonly #changes = new ChangeLog();
  /** What the columns have to take over still, or have taken over since. */
  readonly #backlog: ChangeLog;
  readonly #lists: ValueLists | undefined;
  /** The least recently used comes first. */
  readonly #sets = new Map<string, MatchSet>();
  /** The columns have taken over all of the backlog before it. */
  #taken: Position = START;
  /** What they are taking over, and where they are when it ends. */
  #takeover: { readonly steps: Iterator<void>; readonly end: Position } | undefined;
  /** One filter is prepared after the other, so that together they take one slice of a turn. */
  #turn: Promise<void> = Promise.resolve();
  #inBackground = false;
  #isClosed = false;

  /** @param listed a field of which the slots of each text are kept; see value-lists.ts */
  constructor(
    source: MatchSource,
    saved: SavedFilters = { columns: new Columns(), backlog: new ChangeLog() },
    listed?: string,
  ) {
    this.columns = saved.columns;
    this.#backlog = saved.backlog;
    this.#source = source;
    this.#lists = listed === undefined ? undefined : new ValueLists(listed, source, this.columns);
    this.#takeIfFarBehind();
  }

  /** Must be called after the attributes of the slots [from, to) were written. */
  changed(from: number, to = from + 1): void {
    this.#note(from, to);
    this.#backlog.add(from, to);
    this.#takeIfFarBehind();
  }

  /** The same for one slot, whose attributes are parsed already: the columns take them over now. */
  take(slot: number, json: object): void {
    this.#note(slot, slot + 1);
    this.columns.set(slot, json);
    this.#lists?.take(slot, json);
  }

  /** The same for a text of a shape. */
  takeFlat(slot: number, text: Uint8Array, flat: Flat): void {
    if (this.#lists !== undefined) {
      this.changed(slot);
      return;
    }
    this.#note(slot, slot + 1);
    this.columns.setFlat(slot, text, flat);
  }

  /** Must be called after the slot died. */
  died(slot: number): void {
    for (const { bitmap } of this.#sets.values()) bitmap.delete(slot);
  }

  /** Brings the matches of an expression up to date but for a little; ends early once it is closed. */
  prepare(expression: Expression): Promise<void> {
    const turn = this.#turn.then(() => this.#bringUpToDate(this.#setOf(expression)));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Undefined where `matches` would take no time worth mentioning, else `prepare`. */
  prepareIfLate(expression: Expression): Promise<void> | undefined {
    return !this.#isClosed && this.#isBehind(this.#setOf(expression)) ? this.prepare(expression) : undefined;
  }

  /** The matches as of now. Without `prepare` before, this blocks the event loop. */
  matches(expression: Expression): MatchSet {
    const set = this.#setOf(expression);
    const ends = this.#seal();
    while (this.#step(set, ends));
    return set;
  }

  /** How many live slots match, judged by some of them, in slices. Call `prepare` before. */
  async estimate(expression: Expression): Promise<number> {
    const { slots, live, attributes } = this.#source;
    const length = slots();
    const scanner = new Scanner(expression, this.columns);
    const verdict = new Uint8Array(1);
    const slice = new TimeSlice();
    const step = Math.max(1, Math.floor(length / SAMPLE_SLOTS));
    let [looked, matching] = [0, 0];
    for (let slot = 0; slot < length && !this.#isClosed; slot += step, looked++) {
      scanner.verdicts(slot, slot + 1, verdict);
      const isUnsure = live.has(slot) && verdict[0] === UNSURE;
      const matches = isUnsure && expression.matches(attributes.parsed(slot) ?? {});
      matching += Number(matches || (live.has(slot) && verdict[0] === YES));
      if (slice.spent) await slice.pause();
    }
    return looked === 0 ? 0 : Math.round((matching * length) / looked);
  }

  /** Changed slots that the columns have not taken over. */
  get behind(): number {
    return this.#backlog.slotsSince(this.#taken);
  }

  /** Has the columns take over everything until now, in slices; ends early once it is closed. */
  async catchUp(): Promise<void> {
    const slice = new TimeSlice();
    while (!this.#isClosed && this.behind > 0) {
      this.#take();
      if (slice.spent) await slice.pause();
    }
  }

  /** What VSTORE.INFO shows. */
  stats(): Record<string, number> {
    return {
      ...this.columns.stats(),
      filter_bytes: this.columns.bytes + this.#matchBytes + (this.#lists?.bytes ?? 0),
    };
  }

  /** Stops the work under way. */
  close(): void {
    this.#isClosed = true;
  }

  get #matchBytes(): number {
    return [...this.#sets.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #setOf(expression: Expression): MatchSet {
    const { text } = expression;
    const set =
      this.#sets.get(text) ?? new MatchSet(expression, this.#source, this.columns, this.#listOf(expression));
    this.#sets.delete(text);
    this.#sets.set(text, set);
    for (const oldest of this.#sets.keys()) {
      if (this.#sets.size === 1) break;
      if (this.#sets.size <= SETS_MAX && this.#matchBytes <= SET_BYTES_MAX) break;
      this.#sets.delete(oldest);
    }
    return set;
  }

  /** The slots that the expression has to look at; undefined where it may be any. */
  #listOf(expression: Expression): (() => readonly number[]) | undefined {
    const lists = this.#lists;
    const text = lists?.textOf(expression);
    return text === undefined ? undefined : () => lists!.slotsOf(text);
  }

  async #bringUpToDate(set: MatchSet): Promise<void> {
    const slice = new TimeSlice();
    while (!this.#isClosed && this.#isBehind(set)) {
      const ends = this.#seal();
      while (this.#step(set, ends)) {
        if (slice.spent) await slice.pause();
        if (this.#isClosed) return;
      }
    }
  }

  #isBehind({ seen, listed, expression: { weight } }: MatchSet): boolean {
    if (listed !== undefined && this.#lists!.isWhole && this.behind === 0)
      return Math.min(listed().length, this.#changedSince(seen)) * weight > AT_ONCE_WORK_MAX;
    if (seen === undefined) return true;
    if (this.#changes.slotsSince(seen) * weight > AT_ONCE_WORK_MAX) return true;
    let [slots, bytes] = [0, 0];
    // What the columns have not taken over is among it.
    for (const range of this.#changes.between(seen, this.#changes.end)) {
      // A range may cover more slots than have changed.
      for (let slot = range.from; slot < range.to; slot++) {
        bytes += this.#source.attributes.lengthOf(slot);
        if (++slots * weight > AT_ONCE_WORK_MAX || bytes > AT_ONCE_BYTES_MAX) return true;
      }
    }
    return false;
  }

  #changedSince(seen: Position | undefined): number {
    return seen === undefined ? Number.POSITIVE_INFINITY : this.#changes.slotsSince(seen);
  }

  /** Each expression looks at everything when it is new. */
  #note(from: number, to: number): void {
    if (this.#sets.size > 0) this.#changes.add(from, to);
  }

  #seal(): Ends {
    return { changes: this.#changes.seal(), backlog: this.#backlog.seal() };
  }

  /** Does a little of what the matches need to be as of `ends`; false when they are. */
  #step(set: MatchSet, { changes, backlog }: Ends): boolean {
    if (this.#taken.range < backlog.range) {
      this.#take();
      return true;
    }
    if (set.seen !== undefined && set.seen.range >= changes.range) return false;
    if (set.listed !== undefined && this.#lists!.fill()) return true;
    if (set.step(this.#changes, changes)) return true;
    this.#forget();
    return false;
  }

  /** Has the columns take over a little of the backlog. */
  #take(): void {
    if (this.#takeover === undefined) {
      const end = this.#backlog.seal();
      this.#takeover = { steps: this.#takeOver(this.#taken, end), end };
    }
    if (!this.#takeover.steps.next().done) return;
    this.#taken = this.#takeover.end;
    this.#takeover = undefined;
    this.#backlog.forget(this.#taken.range);
  }

  *#takeOver(start: Position, end: Position): Generator<void> {
    const { attributes } = this.#source;
    let bytes = 0;
    for (const { from, to } of this.#backlog.between(start, end)) {
      for (let slot = from; slot < to; slot++) {
        const length = Math.max(attributes.lengthOf(slot), TEXT_BYTES_MIN);
        if (bytes > 0 && bytes + length > BYTES_PER_STEP) {
          yield;
          bytes = 0;
        }
        const json = attributes.parsed(slot);
        this.columns.set(slot, json);
        this.#lists?.take(slot, json);
        bytes += length;
      }
    }
  }

  #takeIfFarBehind(): void {
    if (!this.#inBackground && this.behind > BEHIND_MAX) void this.#takeInBackground();
  }

  async #takeInBackground(): Promise<void> {
    this.#inBackground = true;
    while (!this.#isClosed && this.behind > 0) {
      await giveWay();
      const slice = new TimeSlice();
      while (!slice.spent && !this.#isClosed && this.#taken.range < this.#backlog.end.range) this.#take();
    }
    this.#inBackground = false;
  }

  #forget(): void {
    let needed = this.#changes.end.range;
    for (const set of this.#sets.values()) needed = Math.min(needed, set.needed);
    this.#changes.forget(needed);
  }
}
