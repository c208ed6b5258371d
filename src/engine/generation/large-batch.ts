/**
 * A batch of vectors that is too large to be stored in one turn of the event loop. Rows and attributes are written
 * behind the ends of the files, a slice at a time, where no reader and no checkpoint looks; then one short step gives
 * them their keys. So the batch is still all or nothing: for readers, for a crash, and when the disk is full.
 *
 * Its caller writes nothing else to the collection meanwhile. A compaction switches files only when the batch has
 * ended.
 */
import { RECORD_KIND } from "../disk/layout.ts";
import type { RecordsAhead } from "../disk/records-ahead.ts";
import { assertKey, assertVector } from "../input.ts";
import type { Lifetime } from "../slots/expiry.ts";
import { NONE } from "../slots/key-table.ts";
import { putBytes } from "../slots/keys.ts";
import { TimeSlice } from "../time-slice.ts";
import type { Generation } from "./generation.ts";

export interface Rows {
  readonly keys: readonly Uint8Array[];
  /** Shape (keys.length x dimensions), row-major. */
  readonly vectors: Float32Array;
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
  readonly #texts: { offset: number; length: number }[] = [];
  readonly #slice = new TimeSlice();
  #records: RecordsAhead | undefined;
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
      await batch.#writeAttributes();
      return batch;
    } catch (error) {
      batch.#end();
      throw error;
    }
  }

  /** Makes it a part of the collection; returns how many keys are new. */
  commit(): number {
    const { keys, time, lifetime } = this.#rows;
    const generation = this.#generation;
    const { live, attributes } = generation.parts;
    if (this.#records !== undefined) attributes.log.adopt(this.#records);
    generation.removeExpired(keys, time);
    const before = live.count;
    for (const [i, key] of keys.entries()) {
      generation.putWritten(key, this.#texts[i]!, generation.deadlineOf(key, lifetime));
    }
    generation.indexer.noticeGrowth();
    this.#end();
    return live.count - before;
  }

  async #writeRows(): Promise<void> {
    const { keys, vectors } = this.#rows;
    const { segments, manifest } = this.#generation.parts;
    const { dimensions } = manifest.options;
    await segments.reserve(keys.length);
    let bytes = 0;
    for (const [i, key] of keys.entries()) {
      assertKey(key);
      bytes += putBytes(key);
      const row = vectors.subarray(i * dimensions, (i + 1) * dimensions);
      assertVector(row, manifest.options, `vector ${i + 1}`);
      segments.writeAhead(i, row);
      if (this.#slice.spent) await this.#slice.pause();
    }
    this.#generation.ensure(keys.length, bytes, 0);
  }

  async #writeAttributes(): Promise<void> {
    const { attributes, segments } = this.#generation.parts;
    const first = segments.length;
    for (let i = 0; i < this.#rows.keys.length; i++) {
      const text = this.#textOf(i);
      if (text === undefined || text.length === 0) {
        this.#texts.push({ offset: 0, length: 0 });
      } else {
        this.#records ??= attributes.log.writeAhead();
        const offset = await this.#records.add(RECORD_KIND.attributes, first + i, text);
        this.#texts.push({ offset, length: text.length });
      }
      if (this.#slice.spent) await this.#slice.pause();
    }
    await this.#records?.flush();
  }

  #textOf(i: number): Uint8Array | undefined {
    const { attributes, keys, time } = this.#rows;
    if (attributes !== undefined) return attributes[i];
    const slot = this.#generation.slotAt(keys[i]!, time);
    return slot === NONE ? undefined : this.#generation.parts.attributes.get(slot);
  }

  #end(): void {
    if (this.#records !== undefined) this.#generation.parts.attributes.log.giveUp();
    this.#generation.largeBatch = undefined;
    this.#over();
  }
}
