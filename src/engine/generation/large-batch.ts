/**
 * A batch of vectors that is too large to be stored in one turn of the event loop. Rows, keys and attributes are
 * written behind the ends of the files, a slice at a time, where no reader and no checkpoint looks; then one short step
 * makes them count. So the batch is still all or nothing: for readers, for a crash, and when the disk is full.
 *
 * Its caller writes nothing else to the collection meanwhile. A compaction switches files only when the batch has
 * ended.
 */
import { RECORD_KIND } from "../disk/layout.ts";
import type { RecordsAhead } from "../disk/records-ahead.ts";
import { assertKey, assertVector } from "../input.ts";
import type { Lifetime } from "../slots/expiry.ts";
import { type KeptKeys, NONE } from "../slots/key-table.ts";
import { DEADLINE_RECORD_BYTES } from "../slots/keys.ts";
import { TimeSlice } from "../time-slice.ts";
import type { Generation, WrittenRow } from "./generation.ts";

export interface Rows {
  readonly keys: readonly Uint8Array[];
  /** The vector of a key, by the key's place among them. */
  readonly vectorOf: (i: number) => Float32Array;
  /** UTF-8 of one JSON text for each key; undefined keeps what the key has. */
  readonly attributes: readonly Uint8Array[] | undefined;
  /** That of the write, in ms since 1970. */
  readonly time: number;
  /** Of each of the keys. */
  readonly lifetime: Lifetime;
}

export class LargeBatch {
  readonly #generation: Generation;
  readonly #rows: Rows;
  readonly #written: WrittenRow[] = [];
  readonly #slice = new TimeSlice();
  /** What the table of keys had before. */
  #kept: KeptKeys | undefined;
  #keyRecords: RecordsAhead | undefined;
  #textRecords: RecordsAhead | undefined;
  #over = () => {};

  private constructor(generation: Generation, rows: Rows) {
    this.#generation = generation;
    this.#rows = rows;
  }

  /**
   * Resolves when all of it is written, and `commit` cannot fail for lack of space. @throws {VstoreError} ERR, FULL,
   * LIMIT
   */
  static async write(generation: Generation, rows: Rows): Promise<LargeBatch> {
    const batch = new LargeBatch(generation, rows);
    generation.largeBatch = new Promise((over) => {
      batch.#over = over;
    });
    try {
      await batch.#writeRows();
      await batch.#writeRecords();
      // The commit that follows takes a good part of a turn.
      await batch.#slice.beforeLongStep();
      return batch;
    } catch (error) {
      if (batch.#kept !== undefined) generation.parts.keys.table.forgetAhead(batch.#kept);
      batch.#end();
      throw error;
    }
  }

  /** Makes it a part of the collection; returns how many keys are new. */
  commit(): number {
    const { keys, attributes, segments } = this.#generation.parts;
    if (this.#textRecords !== undefined) attributes.log.adopt(this.#textRecords);
    if (this.#keyRecords !== undefined) keys.log.adopt(this.#keyRecords);
    keys.log.ensure(this.#written.length * DEADLINE_RECORD_BYTES);
    const first = segments.length;
    // Before the first is put, as one of them may replace another.
    this.#generation.indexer.index.born(first, first + this.#written.length);
    let added = 0;
    for (const row of this.#written) {
      this.#generation.putWritten(row, (previous) => {
        const isThere = this.#isThere(previous);
        // Of a key that is named twice, the first row is the new one.
        added += Number(!isThere && previous < first);
        return this.#deadlineAfter(previous, isThere);
      });
    }
    this.#generation.indexer.noticeGrowth();
    this.#end();
    return added;
  }

  async #writeRows(): Promise<void> {
    const { keys, vectorOf } = this.#rows;
    const { segments, manifest } = this.#generation.parts;
    await segments.reserve(keys.length);
    for (const [i, key] of keys.entries()) {
      assertKey(key);
      const row = vectorOf(i);
      assertVector(row, manifest.options, `vector ${i + 1}`);
      segments.writeAhead(i, row);
      if (this.#slice.spent) await this.#slice.pause();
    }
    this.#generation.ensure(keys.length, 0, 0);
  }

  async #writeRecords(): Promise<void> {
    const { keys, attributes, segments } = this.#generation.parts;
    const first = segments.length;
    this.#kept = keys.table.kept;
    this.#keyRecords = keys.log.writeAhead();
    for (const [i, key] of this.#rows.keys.entries()) {
      await this.#keyRecords.add(RECORD_KIND.put, first + i, key);
      const text = this.#textOf(i);
      let offset = 0;
      if (text !== undefined && text.length > 0) {
        this.#textRecords ??= attributes.log.writeAhead();
        offset = await this.#textRecords.add(RECORD_KIND.attributes, first + i, text);
      }
      keys.table.keepAhead(key, first + i);
      this.#written.push({ key, hash: keys.table.hashOf(key), text: { offset, length: text?.length ?? 0 } });
      if (this.#slice.spent) await this.#slice.pause();
    }
    await this.#keyRecords.flush();
    await this.#textRecords?.flush();
  }

  #textOf(i: number): Uint8Array | undefined {
    const { attributes, keys, time } = this.#rows;
    if (attributes !== undefined) return attributes[i];
    const slot = this.#generation.slotAt(keys[i]!, time);
    return slot === NONE ? undefined : this.#generation.parts.attributes.get(slot);
  }

  /** Whether a key with that slot is there at the time of the write. */
  #isThere(slot: number): boolean {
    return slot !== NONE && !this.#generation.expiry.isPast(slot, this.#rows.time);
  }

  #deadlineAfter(previous: number, isThere: boolean): number {
    const { deadline = 0, keepsDeadline } = this.#rows.lifetime;
    if (!keepsDeadline) return deadline;
    return isThere ? this.#generation.expiry.deadlineOf(previous) : 0;
  }

  #end(): void {
    if (this.#keyRecords !== undefined) this.#generation.parts.keys.log.giveUp();
    if (this.#textRecords !== undefined) this.#generation.parts.attributes.log.giveUp();
    this.#generation.largeBatch = undefined;
    this.#over();
  }
}
