/**
 * Records that are written behind the end of a log, a chunk at a time, before one step makes them a part of it. So a
 * large batch takes no long turn of the event loop, and a crash or a full disk leaves the log as it was.
 */
import { crc32, RollingChecksum } from "./checksum.ts";
import { write } from "./files.ts";
import { RECORD_HEADER } from "./layout.ts";
import type { PooledFile } from "./pooled-file.ts";

/** Bytes gathered before they are written. */
export const CHUNK_BYTES = 1 << 20;

export class RecordsAhead {
  /** Of the log with these records. */
  readonly checksum = new RollingChecksum();
  readonly #file: PooledFile;
  readonly #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #written: number;
  #used = 0;

  /**
   * @param end where the log ends, all of it being in the file
   * @param checksum of the log
   */
  constructor(file: PooledFile, end: number, checksum: RollingChecksum) {
    this.#file = file;
    this.#written = end;
    this.checksum.value = checksum.value;
    this.checksum.bytes = checksum.bytes;
  }

  /** Where the log ends with these records. */
  get end(): number {
    return this.#written + this.#used;
  }

  /** Adds one; resolves to the file offset of its payload. @throws {VstoreError} FULL */
  async add(kind: number, slot: number, payload: Uint8Array): Promise<number> {
    if (this.#used + RECORD_HEADER.bytes + payload.length > CHUNK_BYTES) await this.flush();
    const offset = this.end + RECORD_HEADER.bytes;
    this.#used = encodeRecord(this.#chunk, this.#used, kind, slot, payload);
    return offset;
  }

  /** Resolves when all of them are in the file. @throws {VstoreError} FULL */
  async flush(): Promise<void> {
    const used = this.#chunk.subarray(0, this.#used);
    await this.#file.during((descriptor) => write(descriptor, used, this.#written));
    this.checksum.extend(used);
    this.#written += this.#used;
    this.#used = 0;
  }
}

/** Writes a record into a chunk, at `start`; returns where it ends. */
export function encodeRecord(
  chunk: Buffer,
  start: number,
  kind: number,
  slot: number,
  payload: Uint8Array,
): number {
  const { at } = RECORD_HEADER;
  const payloadStart = start + RECORD_HEADER.bytes;
  const end = payloadStart + payload.length;
  chunk.writeUInt32LE(slot, start + at.slot);
  chunk.writeUInt32LE(((kind << 24) | payload.length) >>> 0, start + at.lengthAndKind);
  chunk.set(payload, payloadStart);
  chunk.writeUInt32LE(crc32(chunk, start + at.slot, end), start + at.checksum);
  return end;
}
