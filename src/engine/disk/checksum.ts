/** CRC-32 (IEEE 802.3), as zlib computes it. */
import { crc32 as zlibCrc32 } from "node:zlib";

/** Below this many bytes the call into zlib costs more than the loop. */
const LOOP_BYTES_MAX = 192;

/**
 * The loop takes four bytes at once: four tables, one behind the other, of what a byte adds to the remainder when none
 * to three more bytes follow it.
 */
const BYTES_AT_ONCE = 4;
const TABLES = new Int32Array(BYTES_AT_ONCE * 256);
for (let byte = 0; byte < 256; byte++) {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) {
    remainder = remainder & 1 ? 0xedb88320 ^ (remainder >>> 1) : remainder >>> 1;
  }
  TABLES[byte] = remainder;
}
for (let i = 256; i < TABLES.length; i++) {
  const remainder = TABLES[i - 256]!;
  TABLES[i] = TABLES[remainder & 0xff]! ^ (remainder >>> 8);
}

/** CRC-32 of bytes[start, end). */
export function crc32(bytes: Uint8Array, start = 0, end = bytes.length): number {
  if (end - start > LOOP_BYTES_MAX) return zlibCrc32(bytes.subarray(start, end));
  let remainder = -1;
  let i = start;
  for (; i + BYTES_AT_ONCE <= end; i += BYTES_AT_ONCE) {
    remainder ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    remainder =
      TABLES[768 + (remainder & 0xff)]! ^
      TABLES[512 + ((remainder >>> 8) & 0xff)]! ^
      TABLES[256 + ((remainder >>> 16) & 0xff)]! ^
      TABLES[remainder >>> 24]!;
  }
  for (; i < end; i++) remainder = TABLES[(remainder ^ bytes[i]!) & 0xff]! ^ (remainder >>> 8);
  return (remainder ^ 0xffffffff) >>> 0;
}

/** The checksum of a growing file: extended by what was appended, never computed again from the start. */
export class RollingChecksum {
  bytes = 0;
  value = 0;

  extend(appended: Uint8Array): void {
    if (appended.length === 0) return; // zlib takes a buffer without memory for a wish to begin anew
    this.value = zlibCrc32(appended, this.value);
    this.bytes += appended.length;
  }
}

/** How a checksum is written in JSON. */
export const checksumText = (value: number): string => value.toString(16).padStart(8, "0");
