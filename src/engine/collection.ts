/**
 * One collection: vectors of one dimension and metric, by key. Writes are append-only: an update takes a new slot and
 * kills the old one, so that replaying the log from a checkpoint gives the same state whatever was written since.
 * All mutation happens here, synchronously and all or nothing; searching, indexing and checkpoints take time.
 */
import { VstoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import { attributesBytes } from "./attributes.ts";
import { Checkpointer, type CheckpointReport } from "./checkpoint.ts";
import { allFinite, isZero } from "./distance.ts";
import { Indexer } from "./indexer.ts";
import { NONE } from "./key-table.ts";
import { putBytes, REMOVE_BYTES } from "./keys.ts";
import type { CollectionOptions } from "./options.ts";
import { openFiles, type Parts, type Warn } from "./recovery.ts";
import { Searcher, type SearchOptions } from "./search.ts";

const NO_ATTRIBUTES = new Uint8Array(0);

export interface Hit {
  readonly key: Uint8Array;
  /** As options.ts defines it for the metric. */
  readonly distance: number;
  /** JSON text; only when asked for. */
  readonly attributes: string | undefined;
}

export interface InsertOptions {
  /** NX: only new keys. XX: only keys that exist. */
  readonly mode?: "NX" | "XX" | undefined;
  /** JSON text; "" removes what the key has, undefined keeps it. */
  readonly attributes?: string | undefined;
}

export class Collection {
  /** Id of the last log entry that was run on this collection. Its caller sets it in the same tick as it ran it. */
  appliedId: string;
  readonly #parts: Parts;
  readonly #indexer: Indexer;
  readonly #searcher: Searcher;
  readonly #checkpointer: Checkpointer;

  private constructor(parts: Parts, warn: Warn) {
    const { segments, live, manifest, index, watermark } = parts;
    this.#parts = parts;
    this.appliedId = manifest.appliedId;
    this.#indexer = new Indexer(index, watermark, {
      slots: () => segments.length,
      idle: () => this.#checkpointer.saveIndex().catch(this.#report("the index was not saved", warn)),
      failed: this.#report("indexing stopped", warn),
    });
    this.#searcher = new Searcher(manifest.options, segments, live, this.#indexer);
    this.#checkpointer = new Checkpointer(parts, this.#indexer, () => this.appliedId);
  }

  /** @throws {DamagedFileError} */
  static async open(directory: string, warn: Warn): Promise<Collection> {
    const collection = new Collection(await openFiles(directory, warn), warn);
    collection.#indexer.noticeGrowth();
    return collection;
  }

  get name(): string {
    return this.#parts.manifest.name;
  }

  get options(): CollectionOptions {
    return this.#parts.manifest.options;
  }

  /** Log id of the CREATE. */
  get createdId(): string {
    return this.#parts.manifest.createdId;
  }

  /** Log id that the last checkpoint covers. */
  get checkpointId(): string {
    return this.#checkpointer.manifest.appliedId;
  }

  /** Live vectors. */
  get length(): number {
    return this.#parts.live.count;
  }

  /** Slots that are not in the index yet. */
  get tailLength(): number {
    return this.#indexer.tailLength;
  }

  /**
   * Makes room on disk for `rows` more vectors, in the background.
   *
   * @returns undefined when there is room already
   * @throws {VstoreError} FULL, LIMIT
   */
  reserve(rows: number): Promise<void> | undefined {
    return this.#parts.segments.reserve(rows);
  }

  /**
   * Stores the vector under the key.
   *
   * @param vector shape (dimensions), float32, finite, not zero under COSINE
   * @returns true: a new key, false: an updated one, null: refused by `mode`
   * @throws {VstoreError} ERR, FULL; nothing has changed then
   */
  insert(key: Uint8Array, vector: Float32Array, options: InsertOptions = {}): boolean | null {
    assertKey(key);
    this.#assertVector(vector, "vector");
    const attributes = encodeAttributes(options.attributes);
    const previous = this.#slotOf(key);
    if (options.mode === (previous === NONE ? "XX" : "NX")) return null;
    this.#ensure(
      1,
      putBytes(key),
      attributes ? attributesBytes(attributes.length) : this.#keptBytes(previous),
    );
    this.#put(key, vector, attributes);
    this.#indexer.noticeGrowth();
    return previous === NONE;
  }

  /**
   * Stores many vectors, all or none of them. A key that is named twice gets its last vector.
   *
   * @param vectors shape (keys.length x dimensions), row-major
   * @param attributes one JSON text for each key, "" for none
   * @returns how many keys are new
   * @throws {VstoreError} ERR, FULL; nothing has changed then
   */
  insertBatch(keys: readonly Uint8Array[], vectors: Float32Array, attributes?: readonly string[]): number {
    const rows = this.#rowsOf(vectors, keys.length);
    const texts = attributes?.map(encodeAttributes);
    if (texts !== undefined) assertLength("attributes", texts.length, keys.length);
    let putTotal = 0;
    let attributesTotal = 0;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      assertKey(key);
      putTotal += putBytes(key);
      const text = texts?.[i];
      attributesTotal += text ? attributesBytes(text.length) : this.#keptBytes(this.#slotOf(key));
    }
    this.#ensure(keys.length, putTotal, attributesTotal);
    const before = this.length;
    for (let i = 0; i < keys.length; i++) this.#put(keys[i]!, rows[i]!, texts?.[i]);
    this.#indexer.noticeGrowth();
    return this.length - before;
  }

  /** Removes the keys and their vectors; returns how many there were. @throws {VstoreError} FULL; none is removed then */
  delete(keys: readonly Uint8Array[]): number {
    this.#parts.keys.log.ensure(keys.length * REMOVE_BYTES);
    const before = this.length;
    for (const key of keys) {
      const slot = this.#parts.keys.remove(key);
      if (slot !== NONE) this.#kill(slot);
    }
    return before - this.length;
  }

  has(key: Uint8Array): boolean {
    return this.#slotOf(key) !== NONE;
  }

  /** The key's vector, shape (dimensions): a view on the mapped file, not to be written to. */
  get(key: Uint8Array): Float32Array | undefined {
    const slot = this.#slotOf(key);
    return slot === NONE ? undefined : this.#parts.segments.row(slot);
  }

  /** Replaces the key's attributes ("" removes them); false when there is no such key. @throws {VstoreError} ERR, FULL */
  setAttributes(key: Uint8Array, json: string): boolean {
    const text = encodeAttributes(json)!;
    const slot = this.#slotOf(key);
    if (slot === NONE) return false;
    this.#parts.attributes.log.ensure(attributesBytes(text.length));
    this.#parts.attributes.set(slot, text);
    return true;
  }

  /** The key's JSON text; undefined when there is none, or no such key. */
  getAttributes(key: Uint8Array): string | undefined {
    const slot = this.#slotOf(key);
    return slot === NONE ? undefined : this.#attributesOf(slot);
  }

  /**
   * Some of the keys, in slot order: those of the next `count` slots from `cursor` on. A key that exists throughout a
   * whole iteration is returned at least once.
   *
   * @returns the next cursor, 0 when the iteration is complete
   */
  scan(cursor: number, count: number): { cursor: number; keys: Uint8Array[] } {
    const { segments, live, keys } = this.#parts;
    const end = Math.min(cursor + count, segments.length);
    const found: Uint8Array[] = [];
    for (let slot = cursor; slot < end; slot++) if (live.has(slot)) found.push(keys.table.keyOf(slot));
    return { cursor: end >= segments.length ? 0 : end, keys: found };
  }

  /**
   * The nearest live vectors, nearest first: k of them whenever k exist within the distance asked for.
   *
   * @param query shape (dimensions), float32, finite, not zero under COSINE
   * @throws {VstoreError} ERR
   */
  async search(query: Float32Array, options: SearchOptions & { withAttributes?: boolean }): Promise<Hit[]> {
    this.#assertVector(query, "vector");
    const found = await this.#searcher.search(query, options);
    return found.map(({ slot, distance }) => ({
      key: this.#parts.keys.table.keyOf(slot),
      distance,
      attributes: options.withAttributes ? this.#attributesOf(slot) : undefined,
    }));
  }

  /** Puts every vector that is in the tail now into the index; the background would do so too, later. */
  build(): Promise<void> {
    return this.#indexer.build();
  }

  /** Makes everything written so far durable. @throws {VstoreError} FULL; the previous checkpoint stands then */
  checkpoint(): Promise<CheckpointReport> {
    return this.#checkpointer.run();
  }

  /** What VSTORE.INFO shows, in display order. */
  stats(): Record<string, string | number> {
    const { segments, keys, attributes, indexKind, manifest } = this.#parts;
    const { dimensions, metric, M, efConstruction, ef } = manifest.options;
    return {
      dimensions,
      metric,
      quantization: "F32",
      m: M,
      ef_construction: efConstruction,
      ef,
      vectors: this.length,
      slots: segments.length,
      dead_slots: segments.length - this.length,
      index: indexKind.name,
      indexed_slots: this.#indexer.watermark,
      tail_slots: this.tailLength,
      segment_bytes: segments.fileBytes,
      keys_bytes: keys.log.bytes,
      attributes_bytes: attributes.log.bytes,
      created_id: this.createdId,
      applied_id: this.appliedId,
      checkpoint_id: this.checkpointId,
    };
  }

  /** Saves what is not saved yet and lets go of the files. Slices handed out stay valid. */
  async close(): Promise<void> {
    await this.#indexer.close();
    await this.#checkpointer.saveIndex(true);
    await this.checkpoint();
    await this.#release();
  }

  /** Lets go of the files without saving anything: for a collection that is dropped. */
  async abandon(): Promise<void> {
    await this.#indexer.close();
    await this.#release();
  }

  async #release(): Promise<void> {
    const { segments, keys, attributes } = this.#parts;
    await this.#checkpointer.settle();
    await segments.settle();
    segments.close();
    keys.log.close();
    attributes.log.close();
  }

  /** Everything that can fail for want of space fails here, before anything has changed. */
  #ensure(rows: number, putTotal: number, attributesTotal: number): void {
    const { segments, keys, attributes } = this.#parts;
    segments.reserveNow(rows);
    keys.log.ensure(putTotal);
    attributes.log.ensure(attributesTotal);
  }

  #report(what: string, warn: Warn): (error: unknown) => void {
    return (error) => warn(what, { collection: this.name, reason: String(error) });
  }

  #put(key: Uint8Array, vector: Float32Array, text: Uint8Array | undefined): void {
    const { segments, keys, live, attributes } = this.#parts;
    const slot = segments.append(vector);
    const previous = keys.put(key, slot);
    live.add(slot);
    const kept = text ?? (previous === NONE ? undefined : attributes.get(previous));
    if (kept !== undefined && kept.length > 0) attributes.set(slot, kept);
    if (previous !== NONE) this.#kill(previous);
  }

  #kill(slot: number): void {
    this.#searcher.noticeDeath(slot);
    this.#parts.live.delete(slot);
    this.#indexer.index.remove(slot);
  }

  #slotOf(key: Uint8Array): number {
    return this.#parts.keys.table.find(key);
  }

  #attributesOf(slot: number): string | undefined {
    return this.#parts.attributes.get(slot)?.toString("utf8");
  }

  /** Room that an update which names no attributes needs to take over those of the old slot. */
  #keptBytes(previous: number): number {
    const length = previous === NONE ? 0 : this.#parts.attributes.lengthOf(previous);
    return length === 0 ? 0 : attributesBytes(length);
  }

  #rowsOf(vectors: Float32Array, count: number): Float32Array[] {
    const { dimensions } = this.options;
    assertLength("vectors", vectors.length, count * dimensions);
    return Array.from({ length: count }, (_, i) => {
      const row = vectors.subarray(i * dimensions, (i + 1) * dimensions);
      this.#assertVector(row, `vector ${i + 1}`);
      return row;
    });
  }

  #assertVector(vector: Float32Array, name: string): void {
    const { dimensions, metric } = this.options;
    if (vector.length !== dimensions) {
      throw new VstoreError("ERR", `'${name}' must have ${dimensions} components, got ${vector.length}`);
    }
    if (!allFinite(vector)) {
      const at = vector.findIndex((component) => !Number.isFinite(component));
      throw new VstoreError("ERR", `'${name}' must be finite, component ${at + 1} is ${vector[at]}`);
    }
    if (metric === "COSINE" && isZero(vector)) {
      throw new VstoreError("ERR", `'${name}' must not be all zeros under COSINE: it has no direction`);
    }
  }
}

function assertKey(key: Uint8Array): void {
  const { keyBytesMin, keyBytesMax } = limits;
  if (key.length >= keyBytesMin && key.length <= keyBytesMax) return;
  throw new VstoreError("ERR", `'key' must be ${keyBytesMin} to ${keyBytesMax} bytes, got ${key.length}`);
}

function assertLength(name: string, length: number, expected: number): void {
  if (length === expected) return;
  throw new VstoreError("ERR", `'${name}' must have ${expected} elements, got ${length}`);
}

function encodeAttributes(json: string | undefined): Uint8Array | undefined {
  if (json === undefined) return undefined;
  const text = json === "" ? NO_ATTRIBUTES : Buffer.from(json);
  if (text.length <= limits.attributesBytesMax) return text;
  throw new VstoreError(
    "ERR",
    `'attributes' must be at most ${limits.attributesBytesMax} bytes, got ${text.length}`,
  );
}
