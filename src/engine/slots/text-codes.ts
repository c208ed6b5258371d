/**
 * The codes of values by their JSON text, so that a text that is known need not become a string or a number. It is a
 * cache: the dictionary of a column knows all values, this the texts that came first, up to its limits.
 */

const CAPACITY_MIN = 64;
/** Places of the table; half of them may be taken. */
const CAPACITY_MAX = 8_192;
/** Bytes of all texts together. */
const BYTES_MIN = 1_024;
const BYTES_MAX = 128 * 1_024;
/** Longer ones are seldom seen again. */
const TEXT_BYTES_MAX = 64;
/** Places that a text can have: texts that were made to collide are not looked for any longer. */
const PROBES_MAX = 8;

/** Numbers of a place: where the text begins in #bytes, its length and its code in one; both 0 when it is empty. */
const WIDTH = 2;
const CODE_BITS = 16;
const CODE_MAX = 2 ** CODE_BITS - 1;

/** No code. */
const NONE = 0;

export class TextCodes {
  #places = new Uint32Array(WIDTH * CAPACITY_MIN);
  #count = 0;
  #bytes = new Uint8Array(BYTES_MIN);
  #used = 0;

  /** Bytes of memory. */
  get bytes(): number {
    return this.#bytes.length + this.#places.byteLength;
  }

  /** The code of the text in bytes[start, end); 0 when it is not known here. */
  get(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (length > TEXT_BYTES_MAX) return NONE;
    const places = this.#places;
    const last = places.length - WIDTH;
    let place = placeOf(hashOf(bytes, start, end), last);
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const lengthAndCode = places[place + 1]!;
      if (lengthAndCode === 0) return NONE;
      if (lengthAndCode >>> CODE_BITS === length && this.#isAt(places[place]!, bytes, start, end))
        return lengthAndCode & CODE_MAX;
      place = (place + WIDTH) & last;
    }
    return NONE;
  }

  /** Remembers a text that is not known here, if there is room. @param code from 1 to 65,535 */
  add(bytes: Uint8Array, start: number, end: number, code: number): void {
    const length = end - start;
    if (length > TEXT_BYTES_MAX || this.#used + length > BYTES_MAX) return;
    if (2 * WIDTH * (this.#count + 1) > this.#places.length) {
      if (this.#places.length === WIDTH * CAPACITY_MAX) return;
      this.#widen();
    }
    if (this.#used + length > this.#bytes.length) {
      const wider = new Uint8Array(2 * this.#bytes.length);
      wider.set(this.#bytes);
      this.#bytes = wider;
    }
    for (let i = 0; i < length; i++) this.#bytes[this.#used + i] = bytes[start + i]!;
    this.#put(this.#used, length, code);
    this.#used += length;
  }

  #put(start: number, length: number, code: number): void {
    const last = this.#places.length - WIDTH;
    let place = placeOf(hashOf(this.#bytes, start, start + length), last);
    for (let probe = 0; this.#places[place + 1] !== 0; probe++) {
      if (probe === PROBES_MAX) return;
      place = (place + WIDTH) & last;
    }
    this.#places[place] = start;
    this.#places[place + 1] = (length << CODE_BITS) | code;
    this.#count++;
  }

  #widen(): void {
    const places = this.#places;
    this.#places = new Uint32Array(2 * places.length);
    this.#count = 0;
    for (let place = 0; place < places.length; place += WIDTH) {
      const lengthAndCode = places[place + 1]!;
      if (lengthAndCode !== 0)
        this.#put(places[place]!, lengthAndCode >>> CODE_BITS, lengthAndCode & CODE_MAX);
    }
  }

  #isAt(from: number, bytes: Uint8Array, start: number, end: number): boolean {
    const known = this.#bytes;
    const distance = from - start;
    for (let i = start; i < end; i++) if (bytes[i] !== known[i + distance]) return false;
    return true;
  }
}

const placeOf = (hash: number, last: number): number => (WIDTH * hash) & last;

/** FNV-1a. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c_9dc5 | 0;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x0100_0193);
  return (hash ^ (hash >>> 15)) & 0xff_ffff;
}
