/**
 * All rows of a collection, slot by slot, over segments that grow geometrically and are never remapped. The next
 * segment is filled in the background once the current one is half full, so that a writer seldom waits for it.
 * Only the owning Collection appends.
 */
import * as fs from "node:fs";
import { DamagedFileError, VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { CollectionOptions } from "../options.ts";
import { COMPONENT_BYTES } from "./layout.ts";
import type { Manifest } from "./manifest.ts";
import { segmentFile } from "./names.ts";
import { Segment, type SegmentShape, segmentBytes, segmentCapacity } from "./segment.ts";

/** Samples of 1 MiB that tell how much of all files is in memory: some ms. */
const RESIDENT_PIECES_MAX = 1_024;

/** Pages that are read at the same time, for reads of many rows. */
const PROVED_AT_ONCE = 8;

/** Consecutive rows of one segment: slots [from, to), the first of them at rows[start]. */
export interface Block {
  readonly rows: Float32Array;
  readonly dimensions: number;
  readonly start: number;
  readonly from: number;
  readonly to: number;
}

export class Segments {
  readonly #directory: string;
  readonly #options: CollectionOptions;
  readonly #firstBytes: number | undefined;
  readonly #open: Segment[] = [];
  /** Slots handed out so far; the next row goes here. */
  #length = 0;
  /** Slots for which an open segment has room. */
  #capacity = 0;
  #growth: Promise<void> | undefined;
  /** Growing has failed. The background does not try again; a writer that needs the room does. */
  #growthFailed = false;
  #closed = false;
  /** Whether all pages of all segments are proved. */
  #isProved = true;
  /** Told of rows that are not what was written. */
  onDamage: (error: DamagedFileError) => void = () => {};

  private constructor(directory: string, options: CollectionOptions, firstBytes?: number) {
    this.#directory = directory;
    this.#options = options;
    this.#firstBytes = firstBytes;
  }

  /**
   * Opens the segments that hold the first `length` slots.
   *
   * @param firstBytes of the first segment, where the manifest says so
   * @throws {DamagedFileError}
   */
  static open(directory: string, options: CollectionOptions, length: number, firstBytes?: number): Segments {
    const segments = new Segments(directory, options, firstBytes);
    try {
      while (segments.#capacity < length) segments.#adopt(Segment.open(directory, segments.#nextShape()));
    } catch (error) {
      segments.close();
      throw error;
    }
    segments.#length = length;
    return segments;
  }

  get length(): number {
    return this.#length;
  }

  /** In slot order. */
  get all(): readonly Segment[] {
    return this.#open;
  }

  /** Bytes of all segment files. */
  get fileBytes(): number {
    return this.#open.reduce((sum, segment) => sum + segment.shape.fileBytes, 0);
  }

  /** What VSTORE.INFO shows: the system keeps in memory what is used of the files. By samples, in some ms. */
  stats(): Record<string, number> {
    const pieces = Math.ceil(RESIDENT_PIECES_MAX / Math.max(1, this.#open.length));
    const resident = this.#open.reduce((sum, segment) => sum + segment.residentBytes(pieces), 0);
    const unproved = this.#open.reduce((sum, segment) => sum + (segment.unproved?.bytes ?? 0), 0);
    return { segment_bytes: this.fileBytes, resident_bytes: resident, unproved_bytes: unproved };
  }

  /**
   * Takes the rows that the manifest counts for whole, until reads prove them.
   *
   * @param pages checksums of the pages of each segment
   */
  trust(manifest: Pick<Manifest, "slots" | "segments">, pages: readonly Uint32Array[]): void {
    for (const { segment, rows } of this.covering(manifest.slots)) {
      const { number } = segment.shape;
      segment.trust(rows, manifest.segments[number]!.checksum, pages[number]!);
      this.#isProved = false;
    }
  }

  /** Whether every row is what was written, as far as that is known since the start. */
  get isProved(): boolean {
    if (!this.#isProved) this.#isProved = this.#open.every(({ unproved }) => unproved === undefined);
    return this.#isProved;
  }

  /** Compares the rows of the slots with their checksums. @throws {DamagedFileError} */
  async prove(slots: Iterable<number>): Promise<void> {
    const waiting = slots[Symbol.iterator]();
    const workOff = async () => {
      for (let next = waiting.next(); !next.done; next = waiting.next()) {
        const { segment, from, to } = this.#placeOf(next.value);
        if (segment.unproved !== undefined) await segment.unproved.prove(from, to);
      }
    };
    await this.#guarded(() => Promise.all(Array.from({ length: PROVED_AT_ONCE }, workOff)));
  }

  /** Compares some of the rows that are left; returns how many bytes were read. @throws {DamagedFileError} */
  proveNext(): Promise<number> {
    const segment = this.#open.find(({ unproved }) => unproved !== undefined);
    return this.#guarded(async () => segment?.unproved?.proveNext() ?? 0);
  }

  async #guarded<Result>(prove: () => Promise<Result>): Promise<Result> {
    try {
      return await prove();
    } catch (error) {
      if (error instanceof DamagedFileError) this.onDamage(error);
      throw error;
    }
  }

  /** Gives memory back to the system, a segment at a time, for as long as it is wanted. */
  async giveBack(isWanted: () => boolean): Promise<void> {
    for (const segment of this.all) {
      if (!isWanted() || this.#closed) return;
      await segment.giveBack();
    }
  }

  /** The segments that hold slots below `length`, each with its number of such rows. */
  *covering(length: number): Generator<{ segment: Segment; rows: number }> {
    for (const segment of this.#open) {
      const rows = Math.min(segment.shape.capacity, length - segment.shape.firstSlot);
      if (rows <= 0) return;
      yield { segment, rows };
    }
  }

  /**
   * The vector in `slot`: shape (dimensions), a view on the mapped file. It is what was written.
   *
   * @throws {DamagedFileError}
   */
  provedRow(slot: number): Float32Array {
    if (!this.isProved) this.#proveNow(slot);
    return this.row(slot);
  }

  /** The same without a proof: for distances whose results are proved. */
  row(slot: number): Float32Array {
    const segment = this.#segmentOf(slot);
    const start = (slot - segment.shape.firstSlot) * this.#options.dimensions;
    return segment.rows.subarray(start, start + this.#options.dimensions);
  }

  /** Slots [from, to) in blocks of about `components` components. */
  *blocks(from: number, to: number, components: number): Generator<Block> {
    const { dimensions } = this.#options;
    const step = Math.max(1, Math.floor(components / dimensions));
    for (let slot = from; slot < to; ) {
      const { rows, shape } = this.#segmentOf(slot);
      const end = Math.min(to, slot + step, shape.firstSlot + shape.capacity);
      yield { rows, dimensions, start: (slot - shape.firstSlot) * dimensions, from: slot, to: end };
      slot = end;
    }
  }

  /**
   * Writes a vector into the slot that is so many after the next one, for which `reserveNow` made room. No slot is
   * there before it is appended.
   */
  writeAhead(after: number, vector: Float32Array): void {
    const slot = this.#length + after;
    const segment = this.#segmentOf(slot);
    segment.rows.set(vector, (slot - segment.shape.firstSlot) * this.#options.dimensions);
  }

  /** The same for vectors that lie one after the other, from the next slot on. */
  writeAllAhead(vectors: Float32Array): void {
    const { dimensions } = this.#options;
    for (let from = 0; from < vectors.length; ) {
      const slot = this.#length + from / dimensions;
      const { rows, shape } = this.#segmentOf(slot);
      const start = (slot - shape.firstSlot) * dimensions;
      const end = Math.min(vectors.length, from + shape.capacity * dimensions - start);
      rows.set(vectors.subarray(from, end), start);
      from = end;
    }
  }

  /** Appends the next slot, whose vector was written ahead. */
  appendWritten(): number {
    this.#prepareNext();
    return this.#length++;
  }

  /**
   * Makes room for `rows` more, in the background.
   *
   * @returns undefined when there is room already
   * @throws {VstoreError} FULL, LIMIT
   */
  reserve(rows: number): Promise<void> | undefined {
    return this.#length + rows <= this.#capacity ? undefined : this.#growTo(this.#length + rows);
  }

  /** The same, before it returns. @throws {VstoreError} FULL, LIMIT */
  reserveNow(rows: number): void {
    while (this.#length + rows > this.#capacity) this.#growNow();
  }

  close(): void {
    this.#closed = true;
    for (const segment of this.#open) segment.close();
  }

  /** Waits for a segment that is being filled. */
  async grown(): Promise<void> {
    await this.#growth?.catch(() => {});
  }

  #proveNow(slot: number): void {
    const { segment, from, to } = this.#placeOf(slot);
    try {
      segment.unproved?.proveNow(from, to);
    } catch (error) {
      if (error instanceof DamagedFileError) this.onDamage(error);
      throw error;
    }
  }

  /** Which bytes of the rows of which segment. */
  #placeOf(slot: number): { segment: Segment; from: number; to: number } {
    const segment = this.#segmentOf(slot);
    const bytes = rowBytes(this.#options.dimensions);
    const from = (slot - segment.shape.firstSlot) * bytes;
    return { segment, from, to: from + bytes };
  }

  #segmentOf(slot: number): Segment {
    let low = 0;
    let high = this.#open.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#open[middle]!.shape.firstSlot <= slot) low = middle;
      else high = middle - 1;
    }
    return this.#open[low]!;
  }

  /** Ends early where the segments are closed meanwhile: no room is needed then. */
  async #growTo(capacity: number): Promise<void> {
    while (this.#capacity < capacity && !this.#closed) await this.#grow();
  }

  /** One more segment, in the background; callers at the same time share it. */
  #grow(): Promise<void> {
    this.#growth ??= this.#addSegment().finally(() => {
      this.#growth = undefined;
    });
    return this.#growth;
  }

  async #addSegment(): Promise<void> {
    const shape = this.#nextShape();
    const segment = await Segment.create(this.#directory, shape);
    if (shape.number === this.#open.length && !this.#closed) this.#adopt(segment);
    else segment.close(); // #growNow was faster
  }

  #growNow(): void {
    this.#adopt(Segment.createSync(this.#directory, this.#nextShape()));
  }

  /** Ignores a failure: the write that needs the room meets it again and reports it. */
  #prepareNext(): void {
    const last = this.#open[this.#open.length - 1]!.shape;
    const needed = this.#length - last.firstSlot > last.capacity / 2;
    if (!needed || this.#growth !== undefined || this.#growthFailed) return;
    this.#grow().catch(() => {
      this.#growthFailed = true;
    });
  }

  #adopt(segment: Segment): void {
    segment.place();
    this.#growthFailed = false;
    this.#open.push(segment);
    this.#capacity += segment.shape.capacity;
  }

  /** @throws {VstoreError} LIMIT */
  #nextShape(): SegmentShape {
    const shape = segmentShape(this.#options, this.#open.length, this.#capacity, this.#firstBytes);
    if (shape.capacity <= 0)
      throw new VstoreError("LIMIT", `a collection has at most ${limits.slotsMax} slots`);
    return shape;
  }
}

/** The shape of a collection's segment `number`, whose first slot is `firstSlot`; its first one has `firstBytes`. */
export function segmentShape(
  { dimensions, metric }: CollectionOptions,
  number: number,
  firstSlot: number,
  firstBytes?: number,
): SegmentShape {
  const capacity = Math.min(segmentCapacity(number, dimensions, firstBytes), limits.slotsMax - firstSlot);
  return { number, dimensions, metric, capacity, firstSlot, fileBytes: segmentBytes(number, firstBytes) };
}

/** Bytes on disk and in memory of one vector. */
export const rowBytes = (dimensions: number): number => dimensions * COMPONENT_BYTES;

/** Deletes the segment files from `number` on: what a crash left behind beyond the manifest. */
export function removeSegmentsFrom(directory: string, number: number): void {
  const kept = new Set(Array.from({ length: number }, (_, index) => segmentFile(index)));
  for (const name of fs.readdirSync(directory)) {
    if (name.startsWith("segment-") && !kept.has(name)) fs.rmSync(`${directory}/${name}`);
  }
}
