/**
 * One set of a collection's files with all that works on it: a compaction replaces it as a whole. Every mutation of
 * keys, rows and attributes is one of the few methods here; the caller has checked its input.
 */

import type { Expression } from "../filter/expression.ts";
import { Filters } from "../filter/filters.ts";
import { Indexer } from "../index/indexer.ts";
import { Searcher } from "../index/searcher.ts";
import type { CheckedAttributes } from "../input.ts";
import { type CollectionOptions, cacheScopeAttribute } from "../options.ts";
import { attributesBytes } from "../slots/attributes.ts";
import type { Bitmap } from "../slots/bitmap.ts";
import { Expiry, type Lifetime } from "../slots/expiry.ts";
import { NONE } from "../slots/key-table.ts";
import { REMOVE_BYTES } from "../slots/keys.ts";
import { mapInSlices } from "../time-slice.ts";
import type { LiveSum } from "./live-sum.ts";
import type { Parts } from "./parts.ts";
import { Prover } from "./prover.ts";

/** Bytes of attributes that columns take over with the write itself; what is longer they do in slices. */
const TAKEN_AT_ONCE_MAX = 1_024;

export interface GenerationHooks {
  /** Every slot that existed when the index was last asked to grow is in it. */
  indexed(generation: Generation): Promise<void>;
  /** Indexing in the background has stopped. */
  failed(error: unknown): void;
  /** The saved index was damaged, and is built again. */
  damaged(generation: Generation): void;
  /** The time by which reads judge what has expired, in ms since 1970. */
  now(): number;
}

/** A row whose vector, key and text are in the files already. */
export interface WrittenRow {
  readonly key: Uint8Array;
  readonly hash: number;
  /** Where its attributes are in attributes.log. */
  readonly text: { readonly offset: number; readonly length: number };
}

export class Generation {
  readonly parts: Parts;
  readonly indexer: Indexer;
  readonly expiry: Expiry;
  readonly searcher: Searcher;
  readonly filters: Filters;
  readonly #prover: Prover;
  /** The large batch that is being written ahead, until it is committed or given up; see large-batch.ts. */
  largeBatch: Promise<void> | undefined;
  /** Told of every slot that died, or got other attributes or another deadline. */
  watcher: ((slot: number) => void) | undefined;
  /** Kept up to date, where there is one. */
  sum: LiveSum | undefined;

  constructor(parts: Parts, hooks: GenerationHooks) {
    const { segments, manifest, indexKind, index, watermark } = parts;
    this.parts = parts;
    this.indexer = new Indexer(indexKind, index, watermark, {
      slots: () => segments.length,
      prove: (from, to) => (segments.isProved ? undefined : segments.prove(slotsOf(from, to))),
      idle: () => hooks.indexed(this),
      failed: hooks.failed,
      damaged: () => hooks.damaged(this),
    });
    this.expiry = new Expiry(parts.expiring, hooks.now);
    const source = { attributes: parts.attributes, live: parts.live, slots: () => segments.length };
    this.filters = new Filters(source, parts.saved, scopeFieldOf(manifest.options));
    if (parts.saved === undefined && segments.length > 0 && parts.attributes.isUsed)
      this.filters.changed(0, segments.length);
    this.searcher = new Searcher(this.indexer, manifest.options.ef, {
      allowed: (filter) => this.allowed(filter),
      prepareIfLate: (filter) => this.filters.prepareIfLate(filter),
      prove: (found) => (segments.isProved ? undefined : segments.prove(found.map(({ slot }) => slot))),
    });
    this.#prover = new Prover(segments);
  }

  /**
   * The slots that a read may find now: those that match and have not expired. Undefined when it may find all.
   * Wait for `filters.prepare` before.
   */
  allowed(filter: Expression | undefined): Bitmap | undefined {
    const unexpired = this.expiry.allowed(this.parts.segments.length);
    if (filter === undefined) return unexpired;
    const matches = this.filters.matches(filter);
    return unexpired === undefined ? matches.snapshot() : matches.bitmap.intersection(unexpired);
  }

  /** The slot of the key, or NONE. */
  slotOf(key: Uint8Array, hash?: number): number {
    return this.parts.keys.table.find(key, hash);
  }

  /** The same, for a write at some time: NONE when the key has expired by then. */
  slotAt(key: Uint8Array, time: number): number {
    const slot = this.slotOf(key);
    return this.expiry.isPast(slot, time) ? NONE : slot;
  }

  /** The same, for a read. */
  slotNow(key: Uint8Array, hash?: number): number {
    const slot = this.slotOf(key, hash);
    return this.expiry.isHidden(slot) ? NONE : slot;
  }

  /**
   * The vectors that reads see now, as `show` makes them, a slice at a time: no row is ever written to again.
   *
   * @param hashes as `table.hashesOf` has them. @throws {DamagedFileError}
   */
  rowsOf<T>(
    keys: readonly Uint8Array[],
    hashes: Uint32Array | undefined,
    show: (row: Float32Array | undefined) => T,
  ): Promise<T[]> {
    const { segments } = this.parts;
    const slots = keys.map((key, i) => this.slotNow(key, hashes?.[i]));
    return this.searcher.reading(async () => {
      if (!segments.isProved) await segments.prove(slots.filter((slot) => slot !== NONE));
      return mapInSlices(slots, (slot) => show(slot === NONE ? undefined : segments.row(slot)));
    });
  }

  /**
   * Makes room: everything that can fail for lack of space fails here, before anything has changed.
   *
   * @throws {VstoreError} FULL, LIMIT
   */
  ensure(rows: number, keysTotal: number, attributesTotal: number): void {
    const { segments, keys, attributes } = this.parts;
    segments.reserveNow(rows);
    keys.log.ensure(keysTotal);
    attributes.log.ensure(attributesTotal);
  }

  /**
   * Gives the key a new slot, with a deadline unless that is 0. Without attributes those of its old one go with it.
   */
  put(key: Uint8Array, vector: Float32Array, attributes: CheckedAttributes | undefined, deadline = 0): void {
    const { segments } = this.parts;
    segments.writeAhead(0, vector);
    this.indexer.index.born(segments.length, segments.length + 1);
    this.#putRow(key, attributes, deadline);
  }

  /** The same for many keys, whose vectors lie one after the other. */
  putAll(
    keys: readonly Uint8Array[],
    vectors: Float32Array,
    attributes: readonly (CheckedAttributes | undefined)[] | undefined,
    lifetime: Lifetime,
  ): void {
    const { segments } = this.parts;
    segments.writeAllAhead(vectors);
    // Before the first is put, as one of them may replace another.
    this.indexer.index.born(segments.length, segments.length + keys.length);
    for (let i = 0; i < keys.length; i++)
      this.#putRow(keys[i]!, attributes?.[i], this.deadlineOf(keys[i]!, lifetime));
  }

  /** Gives the key the next slot, whose vector was written ahead, and of which the index knows. */
  #putRow(key: Uint8Array, attributes: CheckedAttributes | undefined, deadline: number): void {
    const slot = this.parts.segments.appendWritten();
    const previous = this.parts.keys.put(key, slot);
    this.parts.live.add(slot);
    const written = attributes ?? this.#keptOf(previous);
    if (written !== undefined && written.text.length > 0) this.#write(slot, written);
    this.sum?.born(slot);
    if (previous !== NONE) this.#kill(previous);
    if (deadline !== 0) this.setDeadline(slot, deadline);
  }

  /**
   * Gives the key the next slot, of which the index knows. Its vector and key were written ahead, and so was its text
   * where it has a length.
   *
   * @param deadlineAfter its deadline, 0 for none, by the slot that the key had until now, or NONE
   */
  putWritten({ key, hash, text }: WrittenRow, deadlineAfter: (previous: number) => number): void {
    const slot = this.parts.segments.appendWritten();
    const previous = this.parts.keys.putWritten(key, slot, hash);
    this.parts.live.add(slot);
    if (text.length > 0) {
      this.parts.attributes.adopt(slot, text.offset, text.length);
      this.filters.changed(slot);
    }
    this.sum?.born(slot);
    const deadline = deadlineAfter(previous);
    if (previous !== NONE) this.#kill(previous);
    if (deadline !== 0) this.setDeadline(slot, deadline);
  }

  /** The deadline that a write gives to the key, which has not expired. */
  deadlineOf(key: Uint8Array, { deadline, keepsDeadline }: Lifetime): number {
    if (!keepsDeadline) return deadline ?? 0;
    const slot = this.slotOf(key);
    return slot === NONE ? 0 : this.expiry.deadlineOf(slot);
  }

  /** Removes the key, if it is there. @param hash as `table.hashOf` has it */
  remove(key: Uint8Array, hash?: number): void {
    const slot = this.parts.keys.remove(key, hash);
    if (slot !== NONE) this.#kill(slot);
  }

  /**
   * Removes those of the keys that are there at the time of a write; returns how many. @throws {VstoreError} FULL
   *
   * @param hashes of the keys, as `table.hashOf` has them
   */
  delete(keys: readonly Uint8Array[], time: number, hashes?: Uint32Array): number {
    this.ensure(0, keys.length * REMOVE_BYTES, 0);
    this.removeExpired(keys, time, hashes);
    const { live } = this.parts;
    const before = live.count;
    for (let i = 0; i < keys.length; i++) this.remove(keys[i]!, hashes?.[i]);
    return before - live.count;
  }

  /**
   * Removes those of the keys that have expired by the time of a write, before the write does anything else with them.
   */
  removeExpired(keys: readonly Uint8Array[], time: number, hashes?: Uint32Array): void {
    if (this.expiry.expiring === 0) return;
    for (let i = 0; i < keys.length; i++) {
      const [key, hash] = [keys[i]!, hashes?.[i]];
      if (this.expiry.isPast(this.parts.keys.table.find(key, hash), time)) this.remove(key, hash);
    }
  }

  /** Replaces the attributes of a slot. */
  setAttributes(slot: number, attributes: CheckedAttributes): void {
    this.#write(slot, attributes);
    this.watcher?.(slot);
  }

  /** Says when a live slot's key expires, in ms since 1970; 0: never. */
  setDeadline(slot: number, deadline: number): void {
    this.parts.keys.noteDeadline(slot, deadline);
    this.expiry.set(slot, deadline);
    this.watcher?.(slot);
  }

  /** Bytes of attributes.log that a put which names no attributes needs to keep those of the old slot. */
  keptBytes(previous: number): number {
    const length = previous === NONE ? 0 : this.parts.attributes.lengthOf(previous);
    return length === 0 ? 0 : attributesBytes(length);
  }

  /**
   * Releases the files once no reader is left. Slices handed out stay valid.
   *
   * @param keepsAttributes leaves their file open, to be read
   */
  async close(keepsAttributes = false): Promise<void> {
    const { segments, pages, keys, attributes } = this.parts;
    this.filters.close();
    await this.#prover.stop();
    await this.indexer.close();
    await this.searcher.idle();
    this.indexer.index.close();
    await segments.grown();
    segments.close();
    pages.close();
    keys.log.close();
    if (!keepsAttributes) attributes.log.close();
  }

  #keptOf(previous: number): CheckedAttributes | undefined {
    const text = previous === NONE ? undefined : this.parts.attributes.get(previous);
    return text && { text, json: undefined };
  }

  #write(slot: number, { text, json, flat }: CheckedAttributes): void {
    this.parts.attributes.set(slot, text);
    if (flat !== undefined) this.filters.takeFlat(slot, text, flat);
    else if (json === undefined || text.length > TAKEN_AT_ONCE_MAX) this.filters.changed(slot);
    else this.filters.take(slot, json);
  }

  #kill(slot: number): void {
    this.sum?.died(slot);
    this.parts.live.delete(slot);
    this.expiry.forget(slot);
    this.filters.died(slot);
    this.indexer.index.died(slot);
    this.watcher?.(slot);
  }
}

/** The lookups of a cache are of one scope each. */
const scopeFieldOf = ({ cache }: CollectionOptions): string | undefined =>
  (cache?.scope.length ?? 0) > 0 ? cacheScopeAttribute : undefined;

function* slotsOf(from: number, to: number): Generator<number> {
  for (let slot = from; slot < to; slot++) yield slot;
}
