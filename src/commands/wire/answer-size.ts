/**
 * Estimates the size of an answer before it is built. A too large answer is refused, and a large one waits until others
 * have left. So neither one answer nor many at the same time fill the memory.
 */
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { Context } from "../command.ts";

/** Answers up to this size need not ask. */
export const smallAnswerBytes = 256 * 1024;
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

/**
 * The room of one answer that several searches fill. It is asked for once, when all have told what they need: an answer
 * that waited for more while it holds some could wait for another one that does the same.
 */
export class SharedRoom {
  readonly #context: Context;
  readonly #given: Promise<void>;
  #give!: (room: Promise<void> | undefined) => void;
  #left: number;
  #bytes = 0;

  /** @param searches how many of them will tell */
  constructor(context: Context, searches: number) {
    this.#context = context;
    this.#left = searches;
    this.#given = new Promise((resolve) => {
      this.#give = resolve;
    });
    // Each that waits hears of a refusal.
    this.#given.catch(() => {});
  }

  /** To be called once by each; resolves when there is room for all. @throws {VstoreError} LIMIT */
  take(bytes: number): Promise<void> {
    this.#bytes += bytes;
    if (--this.#left === 0) this.#give(this.#ask());
    return this.#given;
  }

  async #ask(): Promise<void> {
    await roomFor(this.#context, this.#bytes);
  }
}

/** Bytes of vectors in an answer: as arrays of doubles, or `raw`. */
export function vectorsBytes(count: number, dimensions: number, raw: boolean): number {
  return count * (frameBytes + dimensions * (raw ? Float32Array.BYTES_PER_ELEMENT : doubleBytesMax));
}

/** Bytes of `count` texts in an answer that have so many bytes together. */
export function textsBytes(count: number, bytes: number): number {
  return bytes + count * frameBytes;
}
