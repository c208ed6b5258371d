/**
 * A checksum for each page of the rows, so that a start need not read all rows to know whether they are whole. Slots
 * are written once, so a page that is full never changes: its checksum is appended to pages.crc by the checkpoint that
 * first covers the whole page. The checksum of the page that is being filled goes on from checkpoint to checkpoint, and
 * from process to process, without reading what it covers already. Only checkpoints write the file.
 */
import * as fs from "node:fs";
import { RollingChecksum } from "../checksum.ts";
import { rethrow, syncData, write } from "../files.ts";
import { PAGE_BYTES, PAGE_CHECKSUM_BYTES, PAGES_MAGIC } from "../layout.ts";
import type { SavedPages } from "../manifest.ts";
import { PAGES_FILE } from "../names.ts";
import { PooledFile } from "../pooled-file.ts";
import { encodeHeader } from "../record-log.ts";
import { type CountedRows, restBytes } from "./geometry.ts";

export class PageChecksums {
  readonly #path: string;
  /** Undefined until there is something to be written. */
  #file: PooledFile | undefined;
  /** Of the bytes that are durable in the file. */
  readonly #saved = new RollingChecksum();
  /** Of full pages, not in the file yet. */
  #unsaved: number[] = [];
  /** Of the page that is not full. */
  #page = new RollingChecksum();

  private constructor(path: string) {
    this.#path = path;
  }

  /** Without any; the file is made, or replaced, when they are first saved. */
  static create(files: string): PageChecksums {
    return new PageChecksums(`${files}/${PAGES_FILE}`);
  }

  /** Goes on behind those that the manifest counts. */
  static resume(files: string, segments: readonly CountedRows[], pages: SavedPages): PageChecksums {
    const resumed = PageChecksums.create(files);
    resumed.#saved.bytes = pages.bytes;
    resumed.#saved.value = pages.checksum;
    resumed.#page.bytes = restBytes(segments);
    resumed.#page.value = pages.rest;
    return resumed;
  }

  /** Whether nothing of them is missing in the file. */
  get isSaved(): boolean {
    return this.#saved.bytes > 0 && this.#unsaved.length === 0;
  }

  /** Takes the next bytes of the rows, in order. */
  extend(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + PAGE_BYTES - this.#page.bytes);
      this.#page.extend(piece);
      at += piece.length;
      if (this.#page.bytes === PAGE_BYTES) this.#endPage();
    }
  }

  /** The rows so far fill a segment: its last page gets no more. */
  endSegment(): void {
    if (this.#page.bytes > 0) this.#endPage();
  }

  /** Makes them durable; returns what the manifest says of them. @throws {VstoreError} FULL */
  async flush(): Promise<SavedPages> {
    if (!this.isSaved) await this.#append();
    return { bytes: this.#saved.bytes, checksum: this.#saved.value, rest: this.#page.value };
  }

  close(): void {
    this.#file?.close();
  }

  #endPage(): void {
    this.#unsaved.push(this.#page.value);
    this.#page = new RollingChecksum();
  }

  /** Overwrites what a checkpoint that failed, or a crash, has left behind the end. */
  async #append(): Promise<void> {
    const taken = this.#unsaved.length;
    const bytes = encode(this.#unsaved);
    const appended = this.#saved.bytes > 0 ? bytes : Buffer.concat([encodeHeader(PAGES_MAGIC), bytes]);
    this.#file ??= this.#open();
    await this.#file.during(async (descriptor) => {
      await write(descriptor, appended, this.#saved.bytes);
      await syncData(descriptor);
    });
    this.#saved.extend(appended);
    this.#unsaved = this.#unsaved.slice(taken);
  }

  #open(): PooledFile {
    try {
      return new PooledFile(this.#path, fs.openSync(this.#path, this.#saved.bytes > 0 ? "r+" : "w+"));
    } catch (error) {
      return rethrow(error);
    }
  }
}

function encode(checksums: readonly number[]): Buffer {
  const bytes = Buffer.alloc(checksums.length * PAGE_CHECKSUM_BYTES);
  for (const [at, checksum] of checksums.entries()) bytes.writeUInt32LE(checksum, at * PAGE_CHECKSUM_BYTES);
  return bytes;
}
