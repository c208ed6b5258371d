/**
 * Rebuilds from the records of a keys.log that may be damaged which slots are alive, their keys and when they expire,
 * and says which records are impossible. Keys is its strict counterpart.
 */
import { limits } from "../../limits.ts";
import { RECORD_KIND } from "../disk/layout.ts";
import type { LogRecord } from "../disk/record-log.ts";
import { Bitmap } from "../slots/bitmap.ts";
import { KeyTable, NONE } from "../slots/key-table.ts";
import { readDeadline } from "../slots/keys.ts";
import { SlotNumbers } from "../slots/slot-numbers.ts";

export class KeyReplay {
  readonly table = new KeyTable();
  readonly live = new Bitmap();
  /** Of live slots, in ms since 1970; 0 for none. */
  readonly deadlines = new SlotNumbers(Float64Array);
  readonly #slots: number;
  /** The slot of the next put. */
  #next = 0;
  #mayBeMissing = false;

  /** @param slots number of slots that exist */
  constructor(slots: number) {
    this.#slots = slots;
  }

  /** Slots that have had a key. */
  get length(): number {
    return this.#next;
  }

  /** Records may be missing before the next one. */
  skip(): void {
    this.#mayBeMissing = true;
  }

  /** Applies the record. Leaves an impossible one out, and returns what is wrong with it. */
  apply(record: LogRecord): string | undefined {
    if (record.kind === RECORD_KIND.put) return this.#put(record);
    if (record.kind === RECORD_KIND.deadline) return this.#setDeadline(record);
    return this.#remove(record);
  }

  #put(record: LogRecord): string | undefined {
    const fault = this.#putFault(record);
    if (fault !== undefined) {
      this.skip();
      return fault;
    }
    const { slot, payload } = record;
    const previous = this.table.set(payload, slot);
    if (previous !== NONE) this.live.delete(previous);
    this.live.add(slot);
    this.#next = slot + 1;
    this.#mayBeMissing = false;
    return undefined;
  }

  #remove(record: LogRecord): string | undefined {
    const fault = this.#removeFault(record);
    const { slot } = record;
    if (fault !== undefined || !this.live.has(slot)) return fault;
    this.table.delete(this.table.keyOf(slot));
    this.live.delete(slot);
    return undefined;
  }

  #setDeadline(record: LogRecord): string | undefined {
    const { slot, payload } = record;
    const deadline = readDeadline(record);
    if (deadline === undefined) return `no deadline in ${payload.length} bytes`;
    if (this.live.has(slot)) this.deadlines.set(slot, deadline);
    else if (!this.#mayBeMissing) return `the deadline of slot ${slot}, which is not alive`;
    return undefined;
  }

  #putFault({ slot, payload }: LogRecord): string | undefined {
    const { keyBytesMin, keyBytesMax } = limits;
    if (payload.length < keyBytesMin || payload.length > keyBytesMax)
      return `a key of ${payload.length} bytes`;
    if (slot >= this.#slots) return `a key for slot ${slot}, there are ${this.#slots}`;
    const isNext = this.#mayBeMissing ? slot >= this.#next : slot === this.#next;
    return isNext ? undefined : `a key for slot ${slot}, expected ${this.#next}`;
  }

  #removeFault({ kind, slot, payload }: LogRecord): string | undefined {
    if (kind !== RECORD_KIND.remove) return `a record of kind ${kind}`;
    if (payload.length > 0) return `a removal with ${payload.length} bytes`;
    return this.live.has(slot) || this.#mayBeMissing
      ? undefined
      : `the removal of slot ${slot}, which is not alive`;
  }
}
