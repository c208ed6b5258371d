/** A growing set of slots, one bit each. */

const WORDS_MIN = 32;

export class Bitmap {
  /** Bits that are set. */
  count = 0;
  #words = new Uint32Array(WORDS_MIN);

  /** The slots 0, 1, … `length - 1`. */
  static below(length: number): Bitmap {
    const bitmap = new Bitmap();
    const whole = length >>> 5;
    bitmap.#words = new Uint32Array(Math.max(WORDS_MIN, whole + 1)).fill(0xffff_ffff, 0, whole);
    bitmap.#words[whole] = 2 ** (length & 31) - 1;
    bitmap.count = length;
    return bitmap;
  }

  /** The bits of the slots below `length`, lowest bit first: a view, until a slot is added. Slots beyond it have none. */
  bytes(length: number): Uint8Array {
    const { buffer, byteLength } = this.#words;
    return new Uint8Array(buffer, 0, Math.min(Math.ceil(length / 8), byteLength));
  }

  has(slot: number): boolean {
    const word = this.#words[slot >>> 5];
    return word !== undefined && (word & (1 << (slot & 31))) !== 0;
  }

  add(slot: number): void {
    if (this.has(slot)) return;
    if (slot >>> 5 >= this.#words.length) this.#grow(slot >>> 5);
    this.#words[slot >>> 5]! |= 1 << (slot & 31);
    this.count++;
  }

  delete(slot: number): void {
    if (!this.has(slot)) return;
    this.#words[slot >>> 5]! &= ~(1 << (slot & 31));
    this.count--;
  }

  #grow(word: number): void {
    const grown = new Uint32Array(Math.max(this.#words.length * 2, word + 1));
    grown.set(this.#words);
    this.#words = grown;
  }
}
