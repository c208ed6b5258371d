/**
 * One collection: vectors of one dimension and metric, by key. Writes are append-only: an update takes a new slot and
 * kills the old one, so that replaying the log from a checkpoint gives the same state whatever was written since.
 * All mutation happens here, synchronously and all or nothing; searching, indexing and checkpoints take time.
 *
 * A write gets the time of its log entry, in ms since 1970: whether a key has expired must not depend on when a replay
 * runs. Without a log that time is now.
 */
import { type Clock, latestTime } from "./clock.ts";
import type { CheckpointReport } from "./generation/checkpoint.ts";
import type { Generation } from "./generation/generation.ts";
import { Generations } from "./generation/generations.ts";
import type { Rows } from "./generation/large-batch.ts";
import { Lifetimes } from "./generation/lifetimes.ts";
import { LiveSum } from "./generation/live-sum.ts";
import { Matching } from "./generation/matching.ts";
import type { OnDamage, Parts, Warn } from "./generation/parts.ts";
import { type HitOptions, Questions, type SearchOptions } from "./generation/questions.ts";
import { openFiles } from "./generation/recovery.ts";
import { Remains } from "./generation/remains.ts";
import { Sampling } from "./generation/sampling.ts";
import type { Hit } from "./hits.ts";
import type { IndexChoice } from "./index/kinds.ts";
import {
  assertKey,
  assertLength,
  assertVector,
  assertVectors,
  encodeAttributes,
  type GivenAttributes,
} from "./input.ts";
import { laterId } from "./log-id.ts";
import type { CollectionOptions } from "./options.ts";
import { attributesBytes } from "./slots/attributes.ts";
import type { Bitmap } from "./slots/bitmap.ts";
import type { Lifetime } from "./slots/expiry.ts";
import { NONE } from "./slots/key-table.ts";
import { putBytes } from "./slots/keys.ts";

/** A cursor is a position of a key table, and the tag of the table that the position belongs to. */
const CURSORS_PER_TABLE = 2 ** 32;

export type { SearchOptions } from "./generation/questions.ts";
export type { Hit } from "./hits.ts";

export interface InsertOptions extends Lifetime {
  /** NX: only new keys. XX: only keys that exist. */
  readonly mode?: "NX" | "XX" | undefined;
  /** JSON text; "" removes what the key has, undefined keeps it. */
  readonly attributes?: GivenAttributes | undefined;
}

export class Collection {
  /** Id of the last log entry that was run on this collection. Its caller sets it in the same tick as it ran it. */
  appliedId: string;
  /** Of that entry and all before it. Its caller sets it too; undefined where there are no timelines. */
  lineage: Parts["manifest"]["lineage"];
  readonly lifetimes: Lifetimes;
  readonly matching: Matching;
  readonly sampling: Sampling;
  readonly questions: Questions;
  readonly #generations: Generations;

  private constructor(parts: Parts, warn: Warn, clock: Clock, damaged: OnDamage) {
    this.appliedId = parts.manifest.appliedId;
    this.lineage = parts.manifest.lineage;
    this.#generations = new Generations(parts, {
      logPoint: this,
      now: clock,
      warn,
      damaged,
    });
    this.lifetimes = new Lifetimes(() => this.#generation);
    this.matching = new Matching(() => this.#generation, this.lifetimes);
    this.sampling = new Sampling(() => this.#generation);
    this.questions = new Questions(() => this.#generation, this.matching);
  }

  /** @throws {DamagedFileError} */
  static async open(
    directory: string,
    warn: Warn,
    index: IndexChoice = "auto",
    clock: Clock = latestTime(),
    damaged: OnDamage = ({ message }) => warn("vectors are damaged and not served", { reason: message }),
  ): Promise<Collection> {
    const collection = new Collection(await openFiles(directory, warn, index), warn, clock, damaged);
    collection.#generation.indexer.noticeGrowth();
    return collection;
  }

  get name(): string {
    return this.#generations.manifest.name;
  }

  get options(): CollectionOptions {
    return this.#generations.manifest.options;
  }

  /** Log id of the CREATE. */
  get createdId(): string {
    return this.#generations.manifest.createdId;
  }

  /** Id of the last log entry that the collection has seen; at first that of its CREATE. */
  get position(): string {
    return laterId(this.appliedId, this.createdId);
  }

  /** Log id that the last checkpoint covers. */
  get checkpointId(): string {
    return this.#generations.manifest.appliedId;
  }

  /** Live vectors that have not expired. */
  get length(): number {
    return this.#generation.parts.live.count - this.lifetimes.expired;
  }

  /** Rows of the files, dead ones included. */
  get rows(): number {
    return this.#generation.parts.segments.length;
  }

  /** Slots that are not in the index yet. */
  get tailLength(): number {
    return this.#generation.indexer.tailLength;
  }

  /**
   * Makes room on disk for `rows` more vectors, in the background.
   *
   * @returns undefined when there is room already
   * @throws {VstoreError} FULL, LIMIT
   */
  reserve(rows: number): Promise<void> | undefined {
    return this.#generation.parts.segments.reserve(rows);
  }

  /**
   * Stores the vector under the key.
   *
   * @param vector shape (dimensions), float32, finite, not zero under COSINE
   * @returns true: a new key, false: an updated one, null: refused by `mode`
   * @throws {VstoreError} ERR, FULL; nothing has changed then
   */
  insert(
    key: Uint8Array,
    vector: Float32Array,
    options: InsertOptions = {},
    time = Date.now(),
  ): boolean | null {
    assertKey(key);
    assertVector(vector, this.options, "vector");
    const attributes = encodeAttributes(options.attributes);
    const generation = this.#generation;
    const previous = generation.slotAt(key, time);
    if (options.mode === (previous === NONE ? "XX" : "NX")) return null;
    const textBytes = attributes ? attributesBytes(attributes.text.length) : generation.keptBytes(previous);
    generation.ensure(1, putBytes(key), textBytes);
    generation.removeExpired([key], time);
    generation.put(key, vector, attributes, generation.deadlineOf(key, options));
    generation.indexer.noticeGrowth();
    return previous === NONE;
  }

  /**
   * Stores many vectors, all or none of them. A key that is named twice gets its last vector.
   *
   * @param vectors shape (keys.length x dimensions), row-major
   * @param attributes one JSON text for each key, "" for none
   * @param lifetime of each of them
   * @returns how many keys are new
   * @throws {VstoreError} ERR, FULL; nothing has changed then
   */
  insertBatch(
    keys: readonly Uint8Array[],
    vectors: Float32Array,
    attributes?: readonly GivenAttributes[],
    time = Date.now(),
    lifetime: Lifetime = {},
  ): number {
    assertVectors(vectors, this.options, keys.length);
    const texts = attributes?.map(encodeAttributes);
    if (texts !== undefined) assertLength("attributes", texts.length, keys.length);
    const generation = this.#generation;
    const mayKeepTexts = generation.parts.attributes.isUsed;
    let [putTotal, attributesTotal] = [0, 0];
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      assertKey(key);
      putTotal += putBytes(key);
      const text = texts?.[i]?.text;
      if (text) attributesTotal += attributesBytes(text.length);
      else if (mayKeepTexts) attributesTotal += generation.keptBytes(generation.slotOf(key));
    }
    generation.ensure(keys.length, putTotal, attributesTotal);
    generation.removeExpired(keys, time);
    const { live } = generation.parts;
    const before = live.count;
    generation.putAll(keys, vectors, texts, lifetime);
    generation.indexer.noticeGrowth();
    return live.count - before;
  }

  /**
   * The same for so many bytes that they take a while, a slice at a time. It resolves to a function that makes them a
   * part of the collection, in one tick. No other write of this collection may come in between.
   *
   * @throws {VstoreError} ERR, FULL, LIMIT; nothing has changed then
   */
  async insertLargeBatch(rows: Rows): Promise<() => number> {
    const { keys, attributes } = rows;
    if (attributes !== undefined) assertLength("attributes", attributes.length, keys.length);
    const batch = await this.#generations.writeLargeBatch(rows);
    return () => batch.commit();
  }

  /** The sum of what the attributes of each vector weigh; there is one for each collection. */
  sumOf(weightOf: (attributes: Buffer) => number): LiveSum {
    const generation = this.#generation;
    generation.sum ??= new LiveSum(generation.parts, weightOf);
    return generation.sum;
  }

  /** Bytes of attributes that new vectors under these keys would keep. */
  keptBytes(keys: readonly Uint8Array[]): number {
    const generation = this.#generation;
    if (!generation.parts.attributes.isUsed) return 0;
    return keys.reduce((sum, key) => sum + generation.keptBytes(generation.slotOf(key)), 0);
  }

  /** Removes keys and their vectors; returns how many there were. @throws {VstoreError} FULL; none is removed then */
  delete(keys: readonly Uint8Array[], time = Date.now()): number {
    return this.#generation.delete(keys, time);
  }

  /** The same for so many keys that it takes a while, in the way of `insertLargeBatch`. */
  async deleteMany(keys: readonly Uint8Array[], time = Date.now()): Promise<() => number> {
    const hashes = await this.#generations.hashesOf(keys);
    return () => this.#generation.delete(keys, time, hashes());
  }

  has(key: Uint8Array): boolean {
    return this.#generation.slotNow(key) !== NONE;
  }

  /**
   * The key's vector, shape (dimensions): a view on the mapped file, not to be written to.
   *
   * @param time of the calling write, in ms since 1970; undefined for a read. @throws {DamagedFileError}
   */
  get(key: Uint8Array, time?: number): Float32Array | undefined {
    const slot = this.#slotOf(key, time);
    return slot === NONE ? undefined : this.#generation.parts.segments.provedRow(slot);
  }

  /** What `get` has for many keys, all as of one moment and each as `show` makes it. @throws {DamagedFileError} */
  async getMany<T>(keys: readonly Uint8Array[], show: (row: Float32Array | undefined) => T): Promise<T[]> {
    const hashes = await this.#generations.hashesOf(keys);
    return this.#generation.rowsOf(keys, hashes(), show);
  }

  /**
   * Replaces the key's attributes ("" removes them); false when there is no such key. @throws {VstoreError} ERR, FULL
   */
  setAttributes(key: Uint8Array, given: GivenAttributes, time = Date.now()): boolean {
    const attributes = encodeAttributes(given)!;
    const slot = this.#generation.slotAt(key, time);
    if (slot === NONE) return false;
    this.#generation.ensure(0, 0, attributesBytes(attributes.text.length));
    this.#generation.setAttributes(slot, attributes);
    return true;
  }

  /** The key's JSON text; undefined when there is none, or no such key. `time` as of `get`. */
  getAttributes(key: Uint8Array, time?: number): string | undefined {
    const slot = this.#slotOf(key, time);
    return slot === NONE ? undefined : this.#generation.parts.attributes.get(slot)?.toString("utf8");
  }

  /**
   * Some of the keys, in slot order: those of the next `count` slots from `cursor` on. A key that exists throughout a
   * whole iteration is returned at least once; a compaction, which moves every slot, begins the iteration again.
   *
   * @param cursor 0, or what the last call returned
   * @param among only keys of these slots; all without it
   * @returns the next cursor, 0 when the iteration is complete
   */
  scan(cursor: number, count: number, among?: Bitmap): { cursor: number; keys: Uint8Array[] } {
    const { table } = this.#generation.parts.keys;
    const { expiry } = this.#generation;
    const base = table.tag * CURSORS_PER_TABLE;
    const position = cursor >= base && cursor < base + CURSORS_PER_TABLE ? cursor - base : 0;
    const keys: Uint8Array[] = [];
    const next = table.scan(position, count, (slot) => {
      if (!expiry.isHidden(slot) && (among?.has(slot) ?? true)) keys.push(table.keyOf(slot));
    });
    return { cursor: next === 0 ? 0 : base + next, keys };
  }

  /**
   * The nearest live vectors, nearest first: k of them whenever k exist within the given distance.
   *
   * @param query shape (dimensions), float32, finite, not zero under COSINE
   * @throws {VstoreError} ERR
   */
  async search(query: Float32Array, options: SearchOptions & HitOptions): Promise<readonly Hit[]> {
    assertVector(query, this.options, "vector");
    return this.questions.ask(query, options);
  }

  /** Puts every vector that is in the tail now into the index, without waiting for the background to do so. */
  build(): Promise<void> {
    return this.#generation.indexer.build();
  }

  /** Whether everything written so far is durable. */
  get isCovered(): boolean {
    return this.#generations.isCovered;
  }

  /** Makes everything written so far durable. @throws {VstoreError} FULL; the previous checkpoint stands then */
  checkpoint(): Promise<CheckpointReport> {
    return this.#generations.checkpoint();
  }

  /** Slots that a compaction would give back. */
  get deadSlots(): number {
    return this.rows - this.#generation.parts.live.count;
  }

  /** Those, as a share of all slots. */
  get deadShare(): number {
    return this.deadSlots === 0 ? 0 : this.deadSlots / this.rows;
  }

  /**
   * Rewrites the live vectors into files of their own and gives the room of the dead ones back. Reads and writes go on;
   * a crash at any moment leaves the old files or the new ones. Does nothing while a compaction is under way.
   *
   * @throws {VstoreError} FULL; the old files stand then, or serve no more and go with the next checkpoint
   */
  compact(): Promise<void> {
    return this.#generations.compact();
  }

  /** What VSTORE.INFO shows, in display order. */
  stats(): Record<string, string | number> {
    const { segments, keys, attributes, indexKind } = this.#generation.parts;
    const { options, generation } = this.#generations.manifest;
    return {
      dimensions: options.dimensions,
      metric: options.metric,
      quantization: indexKind.quantization,
      m: options.M,
      ef_construction: options.efConstruction,
      ef: options.ef,
      vectors: this.length,
      expiring: this.lifetimes.expiring,
      expired: this.lifetimes.expired,
      slots: segments.length,
      dead_slots: this.deadSlots,
      compactions: generation,
      index: indexKind.name,
      ...this.#generation.indexer.stats(),
      ...segments.stats(),
      keys_bytes: keys.log.bytes,
      attributes_bytes: attributes.log.bytes,
      ...this.#generation.filters.stats(),
      created_id: this.createdId,
      applied_id: this.appliedId,
      checkpoint_id: this.checkpointId,
    };
  }

  /** Saves what is not saved yet and closes the files. Slices handed out stay valid. */
  close(): Promise<void> {
    return this.#generations.close();
  }

  /** Closes the files without saving anything: for a collection that is dropped. */
  async abandon(): Promise<void> {
    await this.#generations.abandon();
  }

  /** The same, but what its keys and attributes say can be read on. */
  async retire(): Promise<Remains> {
    return new Remains(this.name, this.createdId, this.position, await this.#generations.abandon(true));
  }

  get #generation(): Generation {
    return this.#generations.current;
  }

  #slotOf(key: Uint8Array, time: number | undefined): number {
    return time === undefined ? this.#generation.slotNow(key) : this.#generation.slotAt(key, time);
  }
}
