/**
 * Proofs that an entry is the module's own, by HalfSipHash-2-4 and a key that the module gives only to the sidecar that
 * leads. The same stands in redis/streams/proofs.c. Written without objects, as every read has one.
 *
 * - Any client that may XADD to the stream of reads can write `client` into an entry, and so name another user whose
 *   places it takes. The proof of a read is a code of its id, which occurs once in a stream.
 * - Any client that may XADD to the log of a cache can name values. The proof of a write of a cache is a code of all
 *   that the entry says: ids of entries that a crash has taken from a log occur again.
 */
export const proofDigits = 16;
/** Of each word of a write: the words that name values are not longer. */
const provenBytesMax = 1_024;

/** What a write says, and what is to prove it. */
interface ProvenWrite {
  readonly stream: string;
  readonly id: string;
  readonly name: string;
  readonly at: number | undefined;
  readonly args: readonly Buffer[];
  readonly proof: Buffer;
}

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
  #words = 0;

  readonly #isKnown: boolean;

  /** @param key 16 hexadecimal digits; without them nothing is proven */
  constructor(key: string) {
    this.#isKnown = key.length === 16;
    this.#k0 = Number.parseInt(key.slice(0, 8), 16);
    this.#k1 = Number.parseInt(key.slice(8, 16), 16);
  }

  /** Whether these are the digits for the read of this id. */
  proves(id: string, digits: Buffer): boolean {
    if (!this.#isKnown || digits.length !== proofDigits) return false;
    this.#begin();
    const dash = id.indexOf("-");
    this.#takeNumber(id.slice(0, dash));
    this.#takeNumber(id.slice(dash + 1));
    return this.#endsWith(16 << 24, digits);
  }

  /** Whether the write carries the digits for all that it says. */
  provesWrite({ stream, id, name, at, args, proof }: ProvenWrite): boolean {
    if (!this.#isKnown || proof.length !== proofDigits || at === undefined) return false;
    this.#begin();
    for (const text of [stream, id, name, String(at)]) this.#takePart(Buffer.from(text, "utf8"));
    for (const arg of args) this.#takePart(arg);
    return this.#endsWith(this.#words << 24, proof);
  }

  #begin(): void {
    this.#a = this.#k0;
    this.#b = this.#k1 ^ 0xee;
    this.#c = this.#k0 ^ 0x6c796765;
    this.#d = this.#k1 ^ 0x74656462;
    this.#words = 0;
  }

  /** Takes the last word in; then the state is of no further use. */
  #endsWith(last: number, digits: Buffer): boolean {
    this.#take(last);
    this.#c ^= 0xee;
    this.#mix(4);
    const first = this.#b ^ this.#d;
    this.#b ^= 0xdd;
    this.#mix(4);
    return isHex(digits, 0, first) && isHex(digits, 8, this.#b ^ this.#d);
  }

  /** The length, and then the bytes in words, the last one filled up with zeros. */
  #takePart(bytes: Buffer): void {
    const end = Math.min(bytes.length, provenBytesMax);
    this.#take(bytes.length);
    for (let at = 0; at < end; at += 4) {
      const left = end - at;
      const word = left >= 4 ? bytes.readInt32LE(at) : bytes.readUIntLE(at, left);
      this.#take(word | 0);
    }
    this.#words += 1 + Math.ceil(end / 4);
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
