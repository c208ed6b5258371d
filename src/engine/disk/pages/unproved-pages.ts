/**
 * The pages of one segment that were not compared with their checksums since the start. They are read from the file,
 * not through the mapping: a disk that cannot read a page then gives an error instead of ending the process. What is
 * written since the start lies behind the bytes that count and needs no proof.
 */
import * as fs from "node:fs";
import { promisify } from "node:util";
import { DamagedFileError } from "../../../errors.ts";
import { checksumText, crc32 } from "../checksum.ts";
import { PAGE_BYTES } from "../layout.ts";
import type { PooledFile } from "../pooled-file.ts";
import { pageOffset } from "./geometry.ts";

/** Pages that `proveNext` reads at once: 1 MiB. */
const PAGES_AT_ONCE = 64;

const readAsync = promisify(fs.read);
const scratch = Buffer.alloc(PAGE_BYTES);

export class UnprovedPages {
  readonly #file: PooledFile;
  readonly #checksums: Uint32Array;
  /** Bytes of rows that the checksums cover. */
  readonly #covered: number;
  readonly #isProved: Uint8Array;
  #bytes: number;
  /** All pages below it are proved. */
  #next = 0;

  constructor(file: PooledFile, checksums: Uint32Array, covered: number) {
    this.#file = file;
    this.#checksums = checksums;
    this.#covered = covered;
    this.#bytes = covered;
    this.#isProved = new Uint8Array(checksums.length);
  }

  /** Of the pages that are left. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Proves the pages of the bytes [from, to) of the rows, before it returns. @throws {DamagedFileError} */
  proveNow(from: number, to: number): void {
    for (const page of this.#unproved(from, to)) {
      const bytes = scratch.subarray(0, this.#lengthOf(page));
      this.#file.use((descriptor) => {
        const read = this.#attempt(page, () =>
          fs.readSync(descriptor, bytes, 0, bytes.length, pageOffset(page)),
        );
        this.#check(page, bytes.subarray(0, read));
      });
    }
  }

  /** The same in the background. @throws {DamagedFileError} */
  async prove(from: number, to: number): Promise<void> {
    for (const page of this.#unproved(from, to)) await this.#readAndCheck(page, 1);
  }

  /** Proves some of the pages that are left; returns how many bytes were read. @throws {DamagedFileError} */
  async proveNext(): Promise<number> {
    while (this.#isProved[this.#next] === 1) this.#next++;
    const first = this.#next;
    let count = 0;
    while (count < PAGES_AT_ONCE && this.#isProved[first + count] === 0) count++;
    return this.#readAndCheck(first, count);
  }

  *#unproved(from: number, to: number): Generator<number> {
    const end = Math.min(Math.ceil(to / PAGE_BYTES), this.#checksums.length);
    for (let page = Math.floor(from / PAGE_BYTES); page < end; page++)
      if (this.#isProved[page] === 0) yield page;
  }

  async #readAndCheck(first: number, count: number): Promise<number> {
    const end = Math.min((first + count) * PAGE_BYTES, this.#covered);
    const bytes = Buffer.allocUnsafe(end - first * PAGE_BYTES);
    const { bytesRead } = await this.#file
      .during((descriptor) => readAsync(descriptor, bytes, 0, bytes.length, pageOffset(first)))
      .catch((error: unknown) => this.#attempt(first, () => raise(error)));
    for (let i = 0; i < count; i++) {
      const to = Math.min((i + 1) * PAGE_BYTES, bytesRead);
      this.#check(first + i, bytes.subarray(Math.min(i * PAGE_BYTES, to), to));
    }
    return bytesRead;
  }

  #lengthOf(page: number): number {
    return Math.min(PAGE_BYTES, this.#covered - page * PAGE_BYTES);
  }

  #check(page: number, bytes: Buffer): void {
    const [found, expected] = [crc32(bytes), this.#checksums[page]!];
    if (found !== expected || bytes.length !== this.#lengthOf(page)) {
      const what = `checksum ${checksumText(found)}, expected ${checksumText(expected)}`;
      throw new DamagedFileError(
        this.#file.path,
        pageOffset(page),
        `the page of rows from here on has ${what}`,
      );
    }
    if (this.#isProved[page] === 1) return; // another read was faster
    this.#isProved[page] = 1;
    this.#bytes -= bytes.length;
  }

  /** What the disk cannot read is damaged. */
  #attempt<Result>(page: number, read: () => Result): Result {
    try {
      return read();
    } catch (error) {
      if (error instanceof DamagedFileError || (error as NodeJS.ErrnoException).code !== "EIO") throw error;
      throw new DamagedFileError(
        this.#file.path,
        pageOffset(page),
        `cannot be read: ${(error as Error).message}`,
      );
    }
  }
}

function raise(error: unknown): never {
  throw error;
}
