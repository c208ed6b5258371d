/**
 * Which checksums of pages a manifest counts. Every page that is full has one in pages.crc, segment after segment, and
 * so has the last page of a full segment, which may be shorter. The page behind them is not full: more rows come, so
 * its checksum is in the manifest, and no checksum in the file ever changes.
 */
import { COMPONENT_BYTES, LOG_HEADER, PAGE_BYTES, PAGE_CHECKSUM_BYTES, SEGMENT_HEADER } from "../layout.ts";

/** Of a segment, what says how many pages it has. */
export interface CountedRows {
  readonly rows: number;
  readonly shape: { readonly dimensions: number; readonly capacity: number };
}

const bytesOf = ({ rows, shape }: CountedRows): number => rows * shape.dimensions * COMPONENT_BYTES;

/** Checksums in the file. */
function savedChecksums(segment: CountedRows): number {
  const pages = bytesOf(segment) / PAGE_BYTES;
  return segment.rows === segment.shape.capacity ? Math.ceil(pages) : Math.floor(pages);
}

/** Bytes of the page that is not full, behind all that have a checksum in the file. */
export function restBytes(segments: readonly CountedRows[]): number {
  const last = segments.at(-1);
  return last === undefined || last.rows === last.shape.capacity ? 0 : bytesOf(last) % PAGE_BYTES;
}

/** Bytes of pages.crc. */
export function pagesBytes(segments: readonly CountedRows[]): number {
  const checksums = segments.reduce((sum, segment) => sum + savedChecksums(segment), 0);
  return LOG_HEADER.bytes + checksums * PAGE_CHECKSUM_BYTES;
}

/** Of each segment the checksums of its pages, that of the page which is not full included. */
export function checksumsOfSegments(
  segments: readonly CountedRows[],
  saved: Uint32Array,
  rest: number,
): Uint32Array[] {
  let from = 0;
  return segments.map((segment) => {
    const own = saved.subarray(from, from + savedChecksums(segment));
    from += own.length;
    const pages = Math.ceil(bytesOf(segment) / PAGE_BYTES);
    if (own.length === pages) return own;
    const all = new Uint32Array(pages).fill(rest);
    all.set(own);
    return all;
  });
}

/** Where a page begins in its file. */
export const pageOffset = (page: number): number => SEGMENT_HEADER.bytes + page * PAGE_BYTES;
