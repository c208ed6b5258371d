/**
 * The codes of numbers: a table of open addressing. A Map takes 130 ns for a number that is no small integer, because
 * it asks the runtime for its hash.
 */

const CAPACITY_MIN = 16;
/** No code: the place is empty. */
const NONE = 0;

/** A number, and its two halves as integers. */
const NUMBER = new Float64Array(1);
const HALVES = new Uint32Array(NUMBER.buffer);

export class NumberCodes {
  #numbers = new Float64Array(CAPACITY_MIN);
  #codes = new Uint16Array(CAPACITY_MIN);
  #count = 0;

  /** @param number not NaN; -0 is 0 here */
  get(number: number): number | undefined {
    const code = this.#codes[this.#placeOf(number)]!;
    return code === NONE ? undefined : code;
  }

  /** @param code not 0, of a number that has none yet */
  add(number: number, code: number): void {
    if (2 * ++this.#count > this.#codes.length) this.#grow();
    const place = this.#placeOf(number);
    this.#numbers[place] = number;
    this.#codes[place] = code;
  }

  /** Where it is, or where it would be put. */
  #placeOf(number: number): number {
    const last = this.#codes.length - 1;
    let place = hashOf(number) & last;
    while (this.#codes[place] !== NONE && this.#numbers[place] !== number) place = (place + 1) & last;
    return place;
  }

  #grow(): void {
    const [numbers, codes] = [this.#numbers, this.#codes];
    this.#numbers = new Float64Array(2 * numbers.length);
    this.#codes = new Uint16Array(2 * codes.length);
    for (const [i, number] of numbers.entries()) {
      if (codes[i] === NONE) continue;
      const place = this.#placeOf(number);
      this.#numbers[place] = number;
      this.#codes[place] = codes[i]!;
    }
  }
}

function hashOf(number: number): number {
  NUMBER[0] = number + 0; // -0 becomes 0
  const mixed = Math.imul(HALVES[0]! ^ Math.imul(HALVES[1]!, 0x9e37_79b1), 0x85eb_ca6b);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
