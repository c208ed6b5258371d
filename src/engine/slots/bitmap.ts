/** A growing set of slots, one bit each. */

const WORDS_MIN = 32;
export const WORD_BITS = 32;

export class Bitmap {
  /** Bits that are set. */
  count = 0;
  /** Raised by every change. */
  version = 0;
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

  /** What `bytes` gave. */
  static from(bytes: Uint8Array): Bitmap {
    const bitmap = new Bitmap();
    bitmap.#words = new Uint32Array(Math.max(WORDS_MIN, Math.ceil(bytes.length / 4)));
    new Uint8Array(bitmap.#words.buffer).set(bytes);
    for (const word of bitmap.#words) bitmap.count += bitsIn(word);
    return bitmap;
  }

  /**
   * The bits of the slots below `length`, lowest bit first: a view, until a slot is added. Slots beyond it have none.
   */
  bytes(length: number): Uint8Array {
    const { buffer, byteLength } = this.#words;
    return new Uint8Array(buffer, 0, Math.min(Math.ceil(length / 8), byteLength));
  }

  /** Bytes of memory. */
  get byteLength(): number {
    return this.#words.byteLength;
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
    this.version++;
  }

  delete(slot: number): void {
    if (!this.has(slot)) return;
    this.#words[slot >>> 5]! &= ~(1 << (slot & 31));
    this.count--;
    this.version++;
  }

  /** Puts the slot in or takes it out. */
  set(slot: number, isIn: boolean): void {
    if (isIn) this.add(slot);
    else this.delete(slot);
  }

  /**
   * Puts slots in or takes them out by bits, lowest first: `count` of them, from `slot` on, within one word. Of those
   * that are not in `mask` none is put in.
   */
  setBits(slot: number, count: number, bits: number, mask: Bitmap): void {
    const at = slot >>> 5;
    const old = this.#words[at] ?? 0;
    const all = (count === WORD_BITS ? -1 : 2 ** count - 1) << (slot & 31);
    const set = (old & ~all) | ((bits << (slot & 31)) & all & (mask.#words[at] ?? 0));
    if (set === (old | 0)) return;
    if (at >= this.#words.length) this.#grow(at);
    this.#words[at] = set;
    this.count += bitsIn(set) - bitsIn(old);
    this.version++;
  }

  /** A copy, without the slots that `mask` does not have. */
  intersection(mask?: Bitmap): Bitmap {
    const copy = new Bitmap();
    copy.#words = this.#words.slice();
    copy.count = this.count;
    if (mask === undefined) return copy;
    copy.count = 0;
    for (let word = 0; word < copy.#words.length; word++) {
      const bits = copy.#words[word]! & (mask.#words[word] ?? 0);
      copy.#words[word] = bits;
      copy.count += bitsIn(bits);
    }
    return copy;
  }

  /** Its slots from `from` on, in order. */
  *slots(from = 0): Generator<number> {
    for (let word = from >>> 5; word < this.#words.length; word++) {
      let bits = this.#words[word]!;
      if (word === from >>> 5) bits &= -1 << (from & 31);
      for (; bits !== 0; bits &= bits - 1) yield word * 32 + 31 - Math.clz32(bits & -bits);
    }
  }

  #grow(word: number): void {
    const grown = new Uint32Array(Math.max(this.#words.length * 2, word + 1));
    grown.set(this.#words);
    this.#words = grown;
  }
}

/** Bits that are set in a word (Warren 2012, section 5-1). */
function bitsIn(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
