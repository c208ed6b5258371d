/**
 * Proofs that an entry is the module's own. Any client that may XADD to the stream of reads can write `client` into an
 * entry, and so name another user whose places it takes. The module adds a code of the entry's id, HalfSipHash-2-4 by a
 * key that it gives only to the sidecar that leads. An id occurs once in a stream, so no proof can be used again. The
 * same stands in redis/streams/proofs.c. Written for few words and without objects, as every read has one.
 */
export const proofDigits = 16;

/** Decimal digits of which every number is exact. */
const exactDigitsMax = 15;
const word = 2 ** 32;

export class Proofs {
  readonly #k0: number;
  readonly #k1: number;
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;

  readonly #isKnown: boolean;

  /** @param key 16 hexadecimal digits; without them nothing is proven */
  constructor(key: string) {
    this.#isKnown = key.length === 16;
    this.#k0 = Number.parseInt(key.slice(0, 8), 16);
    this.#k1 = Number.parseInt(key.slice(8, 16), 16);
  }

  /** Whether these are the digits for the entry of this id. */
  proves(id: string, digits: Buffer): boolean {
    if (!this.#isKnown || digits.length !== proofDigits) return false;
    this.#begin(id);
    this.#c ^= 0xee;
    this.#mix(4);
    const first = this.#b ^ this.#d;
    this.#b ^= 0xdd;
    this.#mix(4);
    return isHex(digits, 0, first) && isHex(digits, 8, this.#b ^ this.#d);
  }

  /** Takes in the 16 bytes of the id. */
  #begin(id: string): void {
    this.#a = this.#k0;
    this.#b = this.#k1 ^ 0xee;
    this.#c = this.#k0 ^ 0x6c796765;
    this.#d = this.#k1 ^ 0x74656462;
    const dash = id.indexOf("-");
    this.#takeNumber(id.slice(0, dash));
    this.#takeNumber(id.slice(dash + 1));
    this.#take(16 << 24);
  }

  #takeNumber(digits: string): void {
    if (digits.length > exactDigitsMax) {
      const whole = BigInt(digits);
      this.#take(Number(whole & 0xffff_ffffn) | 0);
      this.#take(Number(whole >> 32n) | 0);
    } else {
      const whole = Number(digits);
      this.#take(whole | 0);
      this.#take((whole / word) | 0);
    }
  }

  #take(m: number): void {
    this.#d ^= m;
    this.#mix(2);
    this.#a ^= m;
  }

  #mix(rounds: number): void {
    let [a, b, c, d] = [this.#a, this.#b, this.#c, this.#d];
    for (let i = 0; i < rounds; i++) {
      a = (a + b) | 0;
      c = (c + d) | 0;
      b = ((b << 5) | (b >>> 27)) ^ a;
      d = ((d << 8) | (d >>> 24)) ^ c;
      a = (((a << 16) | (a >>> 16)) + d) | 0;
      c = (c + b) | 0;
      d = ((d << 7) | (d >>> 25)) ^ a;
      b = ((b << 13) | (b >>> 19)) ^ c;
      c = (c << 16) | (c >>> 16);
    }
    this.#a = a;
    this.#b = b;
    this.#c = c;
    this.#d = d;
  }
}

/** Whether the eight digits from `at` on are those of the word. */
function isHex(digits: Buffer, at: number, value: number): boolean {
  for (let i = 0; i < 8; i++) {
    const nibble = (value >>> (28 - 4 * i)) & 15;
    if (digits[at + i] !== nibble + (nibble < 10 ? 0x30 : 0x57)) return false;
  }
  return true;
}
