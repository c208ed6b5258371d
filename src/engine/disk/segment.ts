/**
 * One fixed-size mapped file of consecutive rows. Its bytes exist before it is mapped: a sparse file costs a
 * page fault and a block allocation per page (0.3 against 4.7 GB/s), and on a full disk the kernel would
 * answer a store to it with SIGBUS. Only Segments appends, and only rows that no reader has been told of.
 */
import * as fs from "node:fs";
import { DamagedFileError } from "../../errors.ts";
import { failPoint } from "../fail-point.ts";
import type { CollectionOptions } from "../options.ts";
import { TimeSlice } from "../time-slice.ts";
import { crc32, RollingChecksum } from "./checksum.ts";
import { rethrow, syncData, write, writeSync } from "./files.ts";
import {
  COMPONENT_BYTES,
  FIRST_SEGMENT_ROWS_MIN,
  FORMAT_VERSION,
  METRIC_NUMBER,
  SEGMENT_BYTES,
  SEGMENT_HEADER,
} from "./layout.ts";
import { giveBack, mapFile, residentBytes } from "./mapping.ts";
import { segmentFile, TEMPORARY_SUFFIX } from "./names.ts";
import type { PageChecksums } from "./pages/page-checksums.ts";
import { UnprovedPages } from "./pages/unproved-pages.ts";
import { PooledFile } from "./pooled-file.ts";

/** The contents of a segment's header, which follow from its number and the collection's options. */
export interface SegmentShape {
  readonly number: number;
  readonly dimensions: number;
  readonly metric: CollectionOptions["metric"];
  readonly firstSlot: number;
  /** Rows. */
  readonly capacity: number;
  readonly fileBytes: number;
}

/** @param first bytes of the collection's first segment */
export function segmentBytes(number: number, first: number = SEGMENT_BYTES.first): number {
  return Math.min(first * 2 ** number, SEGMENT_BYTES.last);
}

export function segmentCapacity(number: number, dimensions: number, first?: number): number {
  return Math.floor((segmentBytes(number, first) - SEGMENT_HEADER.bytes) / (dimensions * COMPONENT_BYTES));
}

/** Bytes of the first segment of a new collection. */
export function firstSegmentBytes(dimensions: number): number {
  let bytes: number = SEGMENT_BYTES.firstMin;
  while (segmentCapacity(0, dimensions, bytes) < FIRST_SEGMENT_ROWS_MIN && bytes < SEGMENT_BYTES.first)
    bytes *= 2;
  return bytes;
}

export class Segment {
  readonly shape: SegmentShape;
  readonly path: string;
  readonly #file: PooledFile;
  /** All rows, row-major: shape capacity x dimensions. */
  readonly rows: Float32Array;
  /** Of the rows that the last checkpoint covered. */
  readonly #checksum = new RollingChecksum();
  readonly #bytes: Buffer;
  #temporaryPath: string | undefined;
  #unproved: UnprovedPages | undefined;

  private constructor(
    shape: SegmentShape,
    path: string,
    descriptor: number,
    bytes: Buffer,
    temporaryPath?: string,
  ) {
    this.shape = shape;
    this.path = path;
    this.#file = new PooledFile(temporaryPath ?? path, descriptor);
    this.#bytes = bytes;
    this.#temporaryPath = temporaryPath;
    this.rows = new Float32Array(
      bytes.buffer,
      bytes.byteOffset + SEGMENT_HEADER.bytes,
      shape.capacity * shape.dimensions,
    );
  }

  /** Creates the file, filled, in the background. @throws {VstoreError} FULL */
  static async create(directory: string, shape: SegmentShape): Promise<Segment> {
    const file = beginFile(directory, shape, "background");
    try {
      for (let at = 0; at < shape.fileBytes; at += ZEROS.length) {
        failPoint("segment-filling");
        await write(file.descriptor, ZEROS.subarray(0, shape.fileBytes - at), at);
      }
      return Segment.#finish(directory, shape, file);
    } catch (error) {
      return abandon(file, error);
    }
  }

  /** The same, before it returns: for a writer that outran the background. @throws {VstoreError} FULL */
  static createSync(directory: string, shape: SegmentShape): Segment {
    const file = beginFile(directory, shape, "now");
    try {
      for (let at = 0; at < shape.fileBytes; at += ZEROS.length)
        writeSync(file.descriptor, ZEROS.subarray(0, shape.fileBytes - at), at);
      return Segment.#finish(directory, shape, file);
    } catch (error) {
      return abandon(file, error);
    }
  }

  static #finish(directory: string, shape: SegmentShape, file: NewFile): Segment {
    writeSync(file.descriptor, encodeHeader(shape), 0);
    const path = `${directory}/${segmentFile(shape.number)}`;
    const bytes = mapFile(file.descriptor, shape.fileBytes);
    return new Segment(shape, path, file.descriptor, bytes, file.path);
  }

  /** Bytes of the file that are in memory, by so many samples. */
  residentBytes(pieces: number): number {
    return residentBytes(this.#bytes, pieces);
  }

  /** Gives its pages back to the system until they are used again. */
  giveBack(): Promise<void> {
    return giveBack(this.#bytes);
  }

  /** Gives a created segment its name. Only the one that is appended to may have it. */
  place(): void {
    if (this.#temporaryPath === undefined) return;
    failPoint("segment-before-rename");
    fs.renameSync(this.#temporaryPath, this.path);
    this.#file.path = this.path;
    this.#temporaryPath = undefined;
  }

  /**
   * Maps an existing file. The caller verifies its rows: it knows from the manifest how many count.
   *
   * @throws {DamagedFileError} when it is missing or its size or header is not that of `shape`
   */
  static open(directory: string, shape: SegmentShape): Segment {
    const path = `${directory}/${segmentFile(shape.number)}`;
    if (!fs.existsSync(path)) throw new DamagedFileError(path, 0, "the file is missing");
    const descriptor = fs.openSync(path, "r+");
    try {
      const { size } = fs.fstatSync(descriptor);
      if (size !== shape.fileBytes) {
        throw new DamagedFileError(
          path,
          Math.min(size, shape.fileBytes),
          `file of ${size} bytes, expected ${shape.fileBytes}`,
        );
      }
      const bytes = mapFile(descriptor, size);
      verifyHeader(path, bytes, shape);
      return new Segment(shape, path, descriptor, bytes);
    } catch (error) {
      fs.closeSync(descriptor);
      throw error;
    }
  }

  /**
   * CRC-32 of the first `rows` rows. Adds only the rows since the last call, which must not have had more rows.
   *
   * @param pages get the same rows
   */
  async checksumTo(rows: number, pages: PageChecksums): Promise<number> {
    const end = rows * this.shape.dimensions * COMPONENT_BYTES;
    if (this.#checksum.bytes === end) return this.#checksum.value;
    const slice = new TimeSlice();
    while (this.#checksum.bytes < end) {
      if (slice.spent) await slice.pause();
      const from = SEGMENT_HEADER.bytes + this.#checksum.bytes;
      const to = Math.min(from + CHECKSUM_BYTES, SEGMENT_HEADER.bytes + end);
      const bytes = this.#bytes.subarray(from, to);
      this.#checksum.extend(bytes);
      pages.extend(bytes);
    }
    if (rows === this.shape.capacity) pages.endSegment();
    return this.#checksum.value;
  }

  /**
   * Takes the first `rows` rows for what the manifest says of them, until a read proves them page by page.
   *
   * @param checksum of all of them
   * @param pages of each of their pages
   */
  trust(rows: number, checksum: number, pages: Uint32Array): void {
    this.#checksum.bytes = rows * this.shape.dimensions * COMPONENT_BYTES;
    this.#checksum.value = checksum;
    this.#unproved = new UnprovedPages(this.#file, pages, this.#checksum.bytes);
  }

  /** The pages that were not compared with their checksums yet; undefined when all were. */
  get unproved(): UnprovedPages | undefined {
    if (this.#unproved?.bytes === 0) this.#unproved = undefined;
    return this.#unproved;
  }

  /** Makes all that was written durable. */
  sync(): Promise<void> {
    return this.#file.during(syncData);
  }

  /** A segment that was never placed leaves no file. */
  close(): void {
    this.#file.close();
    if (this.#temporaryPath !== undefined) fs.rmSync(this.#temporaryPath, { force: true });
  }
}

/** Bytes that are checksummed between two looks at the clock: about 0.1 ms. */
const CHECKSUM_BYTES = 1 << 18;

const ZEROS = Buffer.alloc(1 << 20);

interface NewFile {
  readonly path: string;
  readonly descriptor: number;
}

function beginFile(directory: string, shape: SegmentShape, who: string): NewFile {
  const path = `${directory}/${segmentFile(shape.number)}.${who}${TEMPORARY_SUFFIX}`;
  try {
    return { path, descriptor: fs.openSync(path, "w+") };
  } catch (error) {
    return rethrow(error);
  }
}

function abandon(file: NewFile, error: unknown): never {
  fs.closeSync(file.descriptor);
  fs.rmSync(file.path, { force: true });
  throw error;
}

function encodeHeader(shape: SegmentShape): Buffer {
  const { at } = SEGMENT_HEADER;
  const header = Buffer.alloc(SEGMENT_HEADER.bytes);
  header.write(SEGMENT_HEADER.magic, at.magic, "ascii");
  header.writeUInt32LE(FORMAT_VERSION, at.version);
  header.writeUInt32LE(shape.dimensions, at.dimensions);
  header.writeUInt32LE(METRIC_NUMBER[shape.metric], at.metric);
  header.writeUInt32LE(shape.number, at.number);
  header.writeUInt32LE(shape.firstSlot, at.firstSlot);
  header.writeUInt32LE(shape.capacity, at.capacity);
  header.writeDoubleLE(shape.fileBytes, at.fileBytes);
  header.writeUInt32LE(crc32(header, 0, at.checksum), at.checksum);
  return header;
}

/** Magic, then version, then checksum, then the fields: each failure is its own error. */
export function verifyHeader(path: string, bytes: Buffer, shape: SegmentShape): void {
  const { at, magic } = SEGMENT_HEADER;
  if (bytes.toString("latin1", at.magic, at.version) !== magic) {
    throw new DamagedFileError(path, at.magic, `no ${magic} at its start: not a vstore segment`);
  }
  const version = bytes.readUInt32LE(at.version);
  if (version !== FORMAT_VERSION) {
    throw new DamagedFileError(
      path,
      at.version,
      `format version ${version}, this vstore reads ${FORMAT_VERSION}`,
    );
  }
  if (bytes.readUInt32LE(at.checksum) !== crc32(bytes, 0, at.checksum)) {
    throw new DamagedFileError(path, at.checksum, "the header does not match its checksum");
  }
  const expected = encodeHeader(shape);
  if (!bytes.subarray(0, at.checksum).equals(expected.subarray(0, at.checksum))) {
    throw new DamagedFileError(
      path,
      at.dimensions,
      `a segment of another collection or position than number ${shape.number}`,
    );
  }
}
