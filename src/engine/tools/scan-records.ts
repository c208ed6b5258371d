/**
 * Reads everything of a damaged record log that can be read: after a damaged stretch it goes on at the next whole
 * record. For tools that report damage; a log that is served must have none (RecordLog.open).
 */
import * as fs from "node:fs";
import { DamagedFileError } from "../../errors.ts";
import { crc32 } from "../disk/checksum.ts";
import { openFile } from "../disk/files.ts";
import type { CountedLog } from "../disk/inventory.ts";
import { LOG_HEADER, LOG_MAGIC, RECORD_HEADER, RECORD_KIND } from "../disk/layout.ts";
import { type LogRecord, RecordReader, verifyHeader } from "../disk/record-log.ts";

/** Bytes that are looked through at a time for the next whole record. */
const WINDOW_BYTES = 4 << 20;
/** Bytes of payloads that are tried, in all: bytes made to look like records must not cost hours. */
const TRIED_BYTES_MAX = 256 << 20;

const KINDS: Record<CountedLog["kind"], readonly number[]> = {
  keys: [RECORD_KIND.put, RECORD_KIND.remove, RECORD_KIND.deadline],
  attributes: [RECORD_KIND.attributes],
};

export interface RecordVisitor {
  record(record: LogRecord): void;
  /** True when enough is known: the rest is not read. */
  readonly isDone: boolean;
  /** Told before the first record that follows the damage. */
  damage(offset: number, what: string): void;
  /** Bytes of the longest payload that there can be. */
  readonly payloadBytesMax: number;
}

/** Reads the part of the log at `path` that counts. @throws {DamagedFileError} when there is no file to read */
export function scanRecords(path: string, log: CountedLog, visitor: RecordVisitor): void {
  const descriptor = openFile(path);
  try {
    const { size } = fs.fstatSync(descriptor);
    if (size < log.bytes) visitor.damage(size, `file of ${size} bytes, expected ${log.bytes}`);
    new Scan(path, descriptor, log, Math.min(size, log.bytes), visitor).run();
  } finally {
    fs.closeSync(descriptor);
  }
}

class Scan {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #log: CountedLog;
  readonly #end: number;
  readonly #visitor: RecordVisitor;
  #reader: RecordReader;
  #isWhole = true;
  #triedBytes = 0;

  constructor(path: string, descriptor: number, log: CountedLog, end: number, visitor: RecordVisitor) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#log = log;
    this.#end = end;
    this.#visitor = visitor;
    this.#reader = new RecordReader(path, descriptor, end);
  }

  run(): void {
    if (this.#end < LOG_HEADER.bytes) return;
    const damage = this.#attempt(() => {
      verifyHeader(this.#path, this.#reader.take(LOG_HEADER.bytes), this.#magic);
    });
    if (damage !== undefined) this.#visitor.damage(damage.offset, damage.what);
    for (let record = this.#next(); record !== undefined && !this.#visitor.isDone; record = this.#next()) {
      this.#visitor.record(record);
    }
    if (
      this.#isWhole &&
      this.#end === this.#log.bytes &&
      this.#reader.checksum.value !== this.#log.checksum
    ) {
      this.#visitor.damage(0, "the records are whole but not those of the manifest");
    }
  }

  get #magic(): string {
    return LOG_MAGIC[this.#log.kind];
  }

  /** The next whole record; the damage before it is reported. */
  #next(): LogRecord | undefined {
    let record: LogRecord | undefined;
    const damage = this.#attempt(() => {
      record = this.#reader.next();
    });
    if (damage === undefined) return record;
    const next = this.#findRecord(damage.offset + 1);
    const extent = next === undefined ? "nothing after it can be read" : `whole again from byte ${next} on`;
    this.#visitor.damage(damage.offset, `${damage.what}; ${extent}`);
    if (next === undefined) return undefined;
    this.#reader = new RecordReader(this.#path, this.#descriptor, this.#end, next);
    return this.#reader.next();
  }

  /** Runs the step; returns the damage that it met, if it did. */
  #attempt(step: () => void): DamagedFileError | undefined {
    try {
      step();
      return undefined;
    } catch (error) {
      if (!(error instanceof DamagedFileError)) throw error;
      this.#isWhole = false;
      return error;
    }
  }

  /** Offset of the first whole record from `from` on. */
  #findRecord(from: number): number | undefined {
    const longest = RECORD_HEADER.bytes + this.#visitor.payloadBytesMax;
    for (let start = from; start < this.#end; start += WINDOW_BYTES) {
      const window = Buffer.alloc(Math.min(WINDOW_BYTES + longest, this.#end - start));
      fs.readSync(this.#descriptor, window, 0, window.length, start);
      for (let at = 0; at < WINDOW_BYTES && at + RECORD_HEADER.bytes <= window.length; at++) {
        if (this.#isRecord(window, at)) return start + at;
      }
    }
    return undefined;
  }

  #isRecord(window: Buffer, start: number): boolean {
    const { at, bytes, payloadBytesMax } = RECORD_HEADER;
    const lengthAndKind = window.readUInt32LE(start + at.lengthAndKind);
    if (!KINDS[this.#log.kind].includes(lengthAndKind >>> 24)) return false;
    const end = start + bytes + (lengthAndKind & payloadBytesMax);
    if (end > window.length || end - start - bytes > this.#visitor.payloadBytesMax) return false;
    this.#triedBytes += end - start;
    if (this.#triedBytes > TRIED_BYTES_MAX) return false;
    return window.readUInt32LE(start + at.checksum) === crc32(window, start + at.slot, end);
  }
}
