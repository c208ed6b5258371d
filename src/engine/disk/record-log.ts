/**
 * An append-only file of checksummed records: keys.log and attributes.log. Records gather in one chunk in memory and
 * reach the file when the chunk is full or a checkpoint flushes it (a single larger record gets a chunk of its own).
 * After a crash the write-ahead log brings the others back. Only the owning Collection appends.
 */
import * as fs from "node:fs";
import { DamagedFileError } from "../../errors.ts";
import { failPoint } from "../fail-point.ts";
import { TimeSlice } from "../time-slice.ts";
import { crc32, RollingChecksum } from "./checksum.ts";
import { syncData, write, writeSync } from "./files.ts";
import { FORMAT_VERSION, LOG_HEADER, RECORD_HEADER } from "./layout.ts";
import { PooledFile } from "./pooled-file.ts";
import { CHUNK_BYTES, encodeRecord, RecordsAhead } from "./records-ahead.ts";

/** Bytes that `view` reads at once: its callers go through the log in order, mostly. */
const VIEW_BYTES = 1 << 16;
/** The first chunk in memory, and how much larger the next one is, up to CHUNK_BYTES. */
const CHUNK_BYTES_MIN = 1 << 12;
const CHUNK_GROWTH = 4;
/** Records that are read between two looks at the clock. */
const RECORDS_PER_LOOK = 64;

export interface LogRecord {
  readonly kind: number;
  readonly slot: number;
  /** Byte offset of the payload in the file. */
  readonly offset: number;
  /** The payload is bytes[start, end); valid only until the next record is read. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** A view on it. */
  readonly payload: Uint8Array;
}

export class RecordLog {
  /** Changes when the file is renamed. */
  path: string;
  readonly #file: PooledFile;
  /** Of everything before #chunkStart. */
  #checksum = new RollingChecksum();
  #chunk = Buffer.alloc(0);
  /** File offset of the chunk's first byte, and how many of its bytes are used. */
  #chunkStart: number;
  #chunkUsed = 0;
  /** What `view` read last, from file offset #viewStart on. */
  #view = Buffer.alloc(0);
  #viewStart = 0;
  /** Records are being written behind the end. */
  #isWrittenAhead = false;

  private constructor(path: string, descriptor: number) {
    this.path = path;
    this.#file = new PooledFile(path, descriptor);
    this.#chunkStart = LOG_HEADER.bytes;
  }

  /** An empty log, its header in the file. Replaces what a crash may have left under its name. */
  static create(path: string, magic: string): RecordLog {
    const descriptor = fs.openSync(path, "w+");
    const header = encodeHeader(magic);
    writeSync(descriptor, header, 0);
    const log = new RecordLog(path, descriptor);
    log.#checksum.extend(header);
    return log;
  }

  /**
   * Opens the first `bytes` of an existing log, cuts off what is behind them, and hands every record to `visit`, in
   * slices.
   *
   * @param checksum CRC-32 of those bytes
   * @throws {DamagedFileError} with the offset of the first record that is not whole
   */
  static async open(
    path: string,
    magic: string,
    bytes: number,
    checksum: number,
    visit: (record: LogRecord) => void,
  ): Promise<RecordLog> {
    if (!fs.existsSync(path)) throw new DamagedFileError(path, 0, "the file is missing");
    const log = new RecordLog(path, fs.openSync(path, "r+"));
    try {
      await log.#file.during(async (descriptor) => {
        await log.#load(descriptor, magic, bytes, checksum, visit);
        fs.ftruncateSync(descriptor, bytes);
      });
      return log;
    } catch (error) {
      log.close();
      throw error;
    }
  }

  /** Bytes of the log, whether they have reached the file or not. */
  get bytes(): number {
    return this.#chunkStart + this.#chunkUsed;
  }

  /**
   * Makes room, so that the next records of together `bytes` (their headers included) cannot fail.
   *
   * @throws {VstoreError} FULL
   */
  ensure(bytes: number): void {
    if (this.#isWrittenAhead) throw new Error(`${this.path}: records are being written behind its end`);
    if (this.#chunkUsed + bytes > this.#chunk.length) this.#beginChunk(Math.max(this.#nextChunkBytes, bytes));
  }

  /** Appends a record for which `ensure` made room; returns the file offset of its payload. */
  append(kind: number, slot: number, payload: Uint8Array): number {
    const start = this.#chunkUsed;
    this.#chunkUsed = encodeRecord(this.#chunk, start, kind, slot, payload);
    return this.#chunkStart + start + RECORD_HEADER.bytes;
  }

  /**
   * Begins records behind the end of the log, which are no part of it until `adopt`. Until then, or `giveUp`, nothing
   * else can be appended.
   *
   * @throws {VstoreError} FULL
   */
  writeAhead(): RecordsAhead {
    this.ensure(0);
    this.#beginChunk(0);
    this.#isWrittenAhead = true;
    return new RecordsAhead(this.#file, this.#chunkStart, this.#checksum);
  }

  /** Moves the end of the log behind the records, which are all in the file. */
  adopt({ end, checksum }: RecordsAhead): void {
    this.#isWrittenAhead = false;
    this.#chunkStart = end;
    this.#checksum = checksum;
  }

  /** Gives up what was written behind the end: the next record overwrites it. */
  giveUp(): void {
    this.#isWrittenAhead = false;
  }

  /** The `length` bytes at file offset `offset`, from memory or from the file. */
  read(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    if (offset >= this.#chunkStart) {
      this.#chunk.copy(bytes, 0, offset - this.#chunkStart, offset - this.#chunkStart + length);
    } else {
      this.#file.use((descriptor) => fs.readSync(descriptor, bytes, 0, length, offset));
    }
    return bytes;
  }

  /** The same, without a copy: valid until the next call. */
  view(offset: number, length: number): Buffer {
    if (offset >= this.#chunkStart) {
      return this.#chunk.subarray(offset - this.#chunkStart, offset - this.#chunkStart + length);
    }
    if (offset < this.#viewStart || offset + length > this.#viewStart + this.#view.length) {
      const bytes = Math.min(Math.max(length, VIEW_BYTES), this.#chunkStart - offset);
      this.#view = Buffer.allocUnsafe(bytes);
      this.#file.use((descriptor) => fs.readSync(descriptor, this.#view, 0, bytes, offset));
      this.#viewStart = offset;
    }
    return this.#view.subarray(offset - this.#viewStart, offset - this.#viewStart + length);
  }

  /**
   * Makes the log durable up to where it ends now; records appended meanwhile are not waited for.
   *
   * @returns size and CRC-32 of what is durable
   * @throws {VstoreError} FULL
   */
  async flush(): Promise<{ bytes: number; checksum: number }> {
    const used = this.#chunk.subarray(0, this.#chunkUsed);
    const durable = new RollingChecksum();
    durable.value = this.#checksum.value;
    durable.extend(used);
    const bytes = this.bytes;
    const start = this.#chunkStart;
    await this.#file.during(async (descriptor) => {
      failPoint("records-half-written", () => {
        writeSync(descriptor, used.subarray(0, used.length >> 1), start);
      });
      await write(descriptor, used, start);
      await syncData(descriptor);
    });
    return { bytes, checksum: durable.value };
  }

  /** They grow, so that a log that is seldom written to takes little memory. */
  get #nextChunkBytes(): number {
    return Math.min(Math.max(CHUNK_BYTES_MIN, CHUNK_GROWTH * this.#chunk.length), CHUNK_BYTES);
  }

  /** A new one even when the old one would do: a flush may still be reading it. */
  #beginChunk(bytes: number): void {
    const used = this.#chunk.subarray(0, this.#chunkUsed);
    if (used.length > 0) this.#file.use((descriptor) => writeSync(descriptor, used, this.#chunkStart));
    this.#checksum.extend(used);
    this.#chunkStart += this.#chunkUsed;
    this.#chunkUsed = 0;
    this.#chunk = Buffer.allocUnsafe(bytes);
  }

  /** Must be called once the file has another name. */
  moveTo(path: string): void {
    this.path = path;
    this.#file.path = path;
  }

  close(): void {
    this.#file.close();
  }

  async #load(
    descriptor: number,
    magic: string,
    bytes: number,
    checksum: number,
    visit: (record: LogRecord) => void,
  ): Promise<void> {
    const { size } = fs.fstatSync(descriptor);
    if (size < bytes) throw new DamagedFileError(this.path, size, `file of ${size} bytes, expected ${bytes}`);
    const reader = new RecordReader(this.path, descriptor, bytes);
    verifyHeader(this.path, reader.take(LOG_HEADER.bytes), magic);
    const slice = new TimeSlice();
    let count = 0;
    for (let record = reader.next(); record !== undefined; record = reader.next()) {
      visit(record);
      if (++count % RECORDS_PER_LOOK === 0 && slice.spent) await slice.pause();
    }
    if (reader.checksum.value !== checksum) {
      throw new DamagedFileError(this.path, 0, "the records are whole but not those of the manifest");
    }
    this.#checksum.value = checksum;
    this.#chunkStart = bytes;
  }
}

/**
 * Reads records one after the other through a window on the file. A record that is damaged is passed over. There may be
 * millions, so no object is made for each: the reader is itself the record that it read last.
 */
export class RecordReader implements LogRecord {
  readonly checksum = new RollingChecksum();
  kind = 0;
  slot = 0;
  offset = 0;
  start = 0;
  end = 0;
  readonly #path: string;
  readonly #descriptor: number;
  readonly #end: number;
  #window = Buffer.alloc(0);
  #windowStart: number;
  /** Of what comes next, in the window. */
  #position = 0;

  /** @param start offset of a record, or of the header */
  constructor(path: string, descriptor: number, end: number, start = 0) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#end = end;
    this.#windowStart = start;
  }

  get bytes(): Uint8Array {
    return this.#window;
  }

  get payload(): Uint8Array {
    return this.#window.subarray(this.start, this.end);
  }

  /** The next record, valid until the one after it is read. @throws {DamagedFileError} */
  next(): LogRecord | undefined {
    if (this.#windowStart + this.#position === this.#end) return undefined;
    const { at, bytes: headerBytes } = RECORD_HEADER;
    this.#require(headerBytes);
    const lengthAndKind = this.#window.readUInt32LE(this.#position + at.lengthAndKind);
    const bytes = headerBytes + (lengthAndKind & RECORD_HEADER.payloadBytesMax);
    this.#require(bytes);
    const start = this.#position;
    this.#position += bytes;
    if (
      this.#window.readUInt32LE(start + at.checksum) !== crc32(this.#window, start + at.slot, start + bytes)
    ) {
      throw new DamagedFileError(
        this.#path,
        this.#windowStart + start,
        "the record does not match its checksum",
      );
    }
    this.kind = lengthAndKind >>> 24;
    this.slot = this.#window.readUInt32LE(start + at.slot);
    this.start = start + headerBytes;
    this.end = start + bytes;
    this.offset = this.#windowStart + this.start;
    return this;
  }

  /** The next `bytes`, consumed. */
  take(bytes: number): Buffer {
    this.#require(bytes);
    this.#position += bytes;
    return this.#window.subarray(this.#position - bytes, this.#position);
  }

  /** Makes sure that the next `bytes` are in the window. */
  #require(bytes: number): void {
    if (this.#position + bytes <= this.#window.length) return;
    const start = this.#windowStart + this.#position;
    if (start + bytes > this.#end) {
      throw new DamagedFileError(this.#path, start, `a record reaches beyond the log's end at ${this.#end}`);
    }
    this.#advance(start, Math.max(bytes, CHUNK_BYTES));
  }

  /** A new window of at least `bytes` from file offset `start` on. */
  #advance(start: number, bytes: number): void {
    const window = Buffer.allocUnsafe(Math.min(bytes, this.#end - start));
    fs.readSync(this.#descriptor, window, 0, window.length, start);
    const seen = this.checksum.bytes - start;
    this.checksum.extend(window.subarray(Math.max(seen, 0)));
    this.#window = window;
    this.#windowStart = start;
    this.#position = 0;
  }
}

/** Of pages.crc too. */
export function encodeHeader(magic: string): Buffer {
  const { at } = LOG_HEADER;
  const header = Buffer.alloc(LOG_HEADER.bytes);
  header.write(magic, at.magic, "ascii");
  header.writeUInt32LE(FORMAT_VERSION, at.version);
  header.writeUInt32LE(crc32(header, 0, at.checksum), at.checksum);
  return header;
}

/** Magic, then version, then checksum. @throws {DamagedFileError} */
export function verifyHeader(path: string, header: Buffer, magic: string): void {
  const { at } = LOG_HEADER;
  if (header.toString("latin1", at.magic, at.version) !== magic) {
    throw new DamagedFileError(path, at.magic, `no ${magic} at its start: not this log`);
  }
  const version = header.readUInt32LE(at.version);
  if (version !== FORMAT_VERSION) {
    throw new DamagedFileError(
      path,
      at.version,
      `format version ${version}, this vstore reads ${FORMAT_VERSION}`,
    );
  }
  if (header.readUInt32LE(at.checksum) !== crc32(header, 0, at.checksum)) {
    throw new DamagedFileError(path, at.checksum, "the header does not match its checksum");
  }
}
