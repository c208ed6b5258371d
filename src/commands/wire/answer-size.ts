/**
 * Estimates the size of an answer before it is built. A too large answer is refused, and a large one waits until others
 * have left. So neither one answer nor many at the same time fill the memory.
 */
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { Context } from "../command.ts";

/** Answers up to this size need not ask. */
const smallAnswerBytes = 256 * 1024;
/** The longest decimal of a float32 as a double, its sign and exponent, and what RESP3 puts around it. */
const doubleBytesMax = 28;
/** What RESP3 puts around an element of an answer. */
const frameBytes = 16;

/**
 * Waits for room, if necessary.
 *
 * @param bytes about as many as the answer will have
 * @throws {VstoreError} LIMIT
 */
export function roomFor(context: Context, bytes: number): Promise<void> | undefined {
  const { answerBytesMax } = limits;
  if (bytes > answerBytesMax) {
    const what = `the answer would have up to ${bytes} bytes, more than ${answerBytesMax}`;
    throw new VstoreError("LIMIT", `${what}; ask for less at a time`);
  }
  return bytes <= smallAnswerBytes ? undefined : context.answerRoom?.(bytes);
}

/** Bytes of vectors in an answer: as arrays of doubles, or `raw`. */
export function vectorsBytes(count: number, dimensions: number, raw: boolean): number {
  return count * (frameBytes + dimensions * (raw ? Float32Array.BYTES_PER_ELEMENT : doubleBytesMax));
}

/** Bytes of `count` texts in an answer that have so many bytes together. */
export function textsBytes(count: number, bytes: number): number {
  return bytes + count * frameBytes;
}
