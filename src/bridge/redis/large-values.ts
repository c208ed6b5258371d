/**
 * Joins the large values of replies as their pieces arrive. ioredis joins a value in one turn once its last piece is
 * there, and to copy the 64 MiB of an argument takes nearly as long as a turn may. So ioredis gets such a value in one
 * piece, which it passes on without a copy.
 *
 * Node reads up to 32 pieces of 64 KiB in one turn, and one with thousands of small values takes milliseconds to
 * decode. So a connection that has decoded for a while reads on in the next turn.
 */
import type { Redis } from "ioredis";

/** Of this size and more. The pieces of smaller ones are left to ioredis. */
export const largeValueBytes = 1024 * 1024;

const [CR, LF, BULK, ZERO, NINE] = [0x0d, 0x0a, 0x24, 0x30, 0x39];
const CRLF_BYTES = 2;

/** Milliseconds that a connection decodes before others have their turn. Replies of less than a piece do not count. */
const decodingMsMax = 4;
const pieceBytes = 64 * 1024;

/** Must be called while no reply is under way, and before one is asked for. */
export function joinLargeValues(redis: Redis): void {
  decodeBefore(redis, (pass) => {
    const joiner = new LargeValueJoiner(pass);
    return (bytes) => joiner.write(bytes);
  });
}

/**
 * Has the bytes of replies pass through a decoder before they come to the one that is there already. Must be called
 * while no reply is under way, and before one is asked for.
 *
 * @param decoder from the function that passes bytes on to the one that takes them
 */
export function decodeBefore(
  redis: Redis,
  decoder: (pass: (bytes: Buffer) => void) => (bytes: Buffer) => void,
): void {
  const { stream } = redis;
  // The first one decodes; see ioredis' DataHandler.
  const [next] = stream.listeners("data") as ((bytes: Buffer) => void)[];
  const decode = decoder((bytes) => next!.call(stream, bytes));
  let decodedMs = 0;
  stream.removeListener("data", next!);
  // There is no other one. By `on` the stream learns that it may hand pieces on at once, by `prependListener` not.
  stream.on("data", (bytes: Buffer) => {
    if (bytes.length < pieceBytes) return decode(bytes);
    const start = performance.now();
    decode(bytes);
    decodedMs += performance.now() - start;
    if (decodedMs < decodingMsMax) return;
    decodedMs = 0;
    stream.pause();
    setImmediate(() => stream.resume());
  });
}

/**
 * Passes on the bytes of replies in RESP2, a piece at a time. RESP2 is a sequence of lines, of which those that begin
 * with `$` are followed by so many bytes and a line's end.
 *
 *   in a line → in a value, which is small (skipped) or large (copied until it is whole) → in a line
 */
export class LargeValueJoiner {
  readonly #pass: (bytes: Buffer) => void;
  /** The first byte of the line; 0 before it has come. */
  #kind = 0;
  /** What the digits of the line have said so far. */
  #length = 0;
  /** Bytes that the value and its line's end still need. */
  #missing = 0;
  /** A large value with its line's end. */
  #value: Buffer | undefined;

  constructor(pass: (bytes: Buffer) => void) {
    this.#pass = pass;
  }

  write(bytes: Buffer): void {
    let [at, passed] = [0, 0];
    while (at < bytes.length) {
      if (this.#missing === 0) {
        at = this.#readLine(bytes, at);
        if (this.#value === undefined) continue;
        this.#pass(bytes.subarray(passed, at));
        passed = at;
        continue;
      }
      const end = Math.min(at + this.#missing, bytes.length);
      if (this.#value !== undefined) {
        bytes.copy(this.#value, this.#value.length - this.#missing, at, end);
        passed = end;
      }
      this.#missing -= end - at;
      at = end;
      if (this.#missing === 0) this.#passValue();
    }
    if (passed < bytes.length) this.#pass(passed === 0 ? bytes : bytes.subarray(passed));
  }

  #passValue(): void {
    const value = this.#value;
    if (value === undefined) return;
    this.#value = undefined;
    this.#pass(value);
  }

  /** Returns where it ends, or where the bytes end. */
  #readLine(bytes: Buffer, start: number): number {
    let [kind, length, at] = [this.#kind, this.#length, start];
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === LF) {
        this.#kind = this.#length = 0;
        if (kind === BULK) this.#begin(length);
        return at + 1;
      }
      if (kind === 0) kind = byte;
      else if (kind !== BULK || byte === CR) continue;
      else if (byte >= ZERO && byte <= NINE) length = length * 10 + byte - ZERO;
      else kind = byte; // `$-1`: there is no value
    }
    [this.#kind, this.#length] = [kind, length];
    return at;
  }

  #begin(length: number): void {
    this.#missing = length + CRLF_BYTES;
    if (length >= largeValueBytes) this.#value = Buffer.allocUnsafeSlow(this.#missing);
  }
}
