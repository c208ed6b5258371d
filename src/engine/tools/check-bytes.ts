/**
 * Checks the files whose bytes have one checksum in the manifest: segments, the index and the columns. They are read,
 * not mapped: a mapped file that shrinks kills the process.
 */
import * as fs from "node:fs";
import { setImmediate } from "node:timers/promises";
import { checksumText, crc32, RollingChecksum } from "../disk/checksum.ts";
import { openFile } from "../disk/files.ts";
import type { CountedFile, CountedSegment } from "../disk/inventory.ts";
import { PAGE_BYTES, SEGMENT_HEADER } from "../disk/layout.ts";
import { pageOffset } from "../disk/pages/geometry.ts";
import { verifyHeader } from "../disk/segment.ts";
import type { Findings } from "./findings.ts";

/** Bytes read at a time. */
const CHUNK_BYTES = 1 << 20;

/** Told of bytes that were read. */
export type OnRead = (bytes: number) => void;

export async function checkSegment(
  path: string,
  { shape, rows, bytes, checksum }: CountedSegment,
  pages: Uint32Array | undefined,
  findings: Findings,
  onRead: OnRead,
): Promise<void> {
  await withFile(path, shape.fileBytes, findings, async (descriptor, size) => {
    const header = Buffer.alloc(Math.min(size, SEGMENT_HEADER.bytes));
    fs.readSync(descriptor, header, 0, header.length, 0);
    if (size >= SEGMENT_HEADER.bytes) await findings.attempt(() => verifyHeader(path, header, shape));
    onRead(header.length);
    let damagedPages = 0;
    const found = await checksumOf(descriptor, SEGMENT_HEADER.bytes, bytes, onRead, (chunk, at) => {
      damagedPages +=
        pages === undefined || size < bytes ? 0 : checkPages(chunk, at / PAGE_BYTES, pages, findings);
    });
    if (size < bytes || damagedPages > 0 || found === checksum) return;
    findings.add(SEGMENT_HEADER.bytes, mismatch(`the ${rows} rows from here on have`, found, checksum));
  });
}

/** Compares the pages of a part of the rows, which begins with page `first`; returns how many are damaged. */
function checkPages(chunk: Buffer, first: number, pages: Uint32Array, findings: Findings): number {
  let damaged = 0;
  for (let at = 0, page = first; at < chunk.length && page < pages.length; at += PAGE_BYTES, page++) {
    const found = crc32(chunk, at, Math.min(at + PAGE_BYTES, chunk.length));
    if (found === pages[page]) continue;
    findings.add(pageOffset(page), mismatch("the page of rows from here on has", found, pages[page]!));
    damaged++;
  }
  return damaged;
}

/** A file whose checksum is that of all its bytes. */
export async function checkWhole(
  path: string,
  { bytes, checksum }: CountedFile,
  findings: Findings,
  onRead: OnRead,
): Promise<void> {
  await withFile(path, bytes, findings, async (descriptor, size) => {
    const found = await checksumOf(descriptor, 0, bytes, onRead);
    if (size === bytes && found !== checksum) findings.add(0, mismatch("the file has", found, checksum));
  });
}

/** Opens the file, which should have `expected` bytes, for `check`. @throws {DamagedFileError} when there is none */
async function withFile(
  path: string,
  expected: number,
  findings: Findings,
  check: (descriptor: number, size: number) => Promise<void>,
): Promise<void> {
  const descriptor = openFile(path);
  try {
    const { size } = fs.fstatSync(descriptor);
    if (size !== expected) {
      findings.add(Math.min(size, expected), `file of ${size} bytes, expected ${expected}`);
    }
    await check(descriptor, size);
  } finally {
    fs.closeSync(descriptor);
  }
}

function mismatch(what: string, found: number, expected: number): string {
  return `${what} checksum ${checksumText(found)}, expected ${checksumText(expected)}`;
}

/**
 * CRC-32 of the bytes from `start` to `end`, or to the end of the file if that comes first.
 *
 * @param visit gets them a chunk at a time, of whole pages but the last, with where each begins behind `start`
 */
async function checksumOf(
  descriptor: number,
  start: number,
  end: number,
  onRead: OnRead,
  visit?: (chunk: Buffer, from: number) => void,
): Promise<number> {
  const rolling = new RollingChecksum();
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  while (start + rolling.bytes < end) {
    const at = start + rolling.bytes;
    const length = fs.readSync(descriptor, chunk, 0, Math.min(chunk.length, end - at), at);
    if (length === 0) break;
    visit?.(chunk.subarray(0, length), rolling.bytes);
    rolling.extend(chunk.subarray(0, length));
    onRead(length);
    // A turn of the event loop, for signals and the progress bar.
    await setImmediate();
  }
  return rolling.value;
}
