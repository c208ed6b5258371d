/**
 * Short texts that come again and again, such as names of commands: found by their bytes, so that no string is made of
 * those that were there before. What follows from a text is kept beside it.
 */

/** A power of two. */
const placesMax = 1_024;
/** A longer text is not kept. */
const keptBytesMax = 96;

interface Place<T> {
  readonly text: string;
  readonly value: T;
}

export class Texts<T> {
  readonly #derive: (text: string) => T;
  readonly #places: (Place<T> | undefined)[] = new Array(placesMax).fill(undefined);

  /** @param derive what follows from a text, and from nothing else */
  constructor(derive: (text: string) => T) {
    this.#derive = derive;
  }

  /** What follows from the bytes, read as Latin-1. */
  of(bytes: Buffer, start: number, end: number): T {
    if (end - start > keptBytesMax) return this.#derive(bytes.toString("latin1", start, end));
    const at = placeOf(bytes, start, end);
    const kept = this.#places[at];
    if (kept !== undefined && isText(kept.text, bytes, start, end)) return kept.value;
    const text = bytes.toString("latin1", start, end);
    const value = this.#derive(text);
    this.#places[at] = { text, value };
    return value;
  }
}

function placeOf(bytes: Buffer, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
  return (hash ^ (hash >>> 15)) & (placesMax - 1);
}

/** Whether the bytes are this text in Latin-1. */
export function isText(text: string, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) !== bytes[start + at]) return false;
  return true;
}
