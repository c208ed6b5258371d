/**
 * Equal vectors of the portable index. Their distances to everything are the same, so in the graph they would fill each
 * other's links and push out all others. Only the first of them goes into the graph; the others, its twins, are kept
 * here.
 */

/** A Map has room for a few more. */
const NOTED_MAX = 16_000_000;

export class Twins {
  /** The first slot with vectors of a hash. */
  readonly #firsts = new Map<number, number>();
  readonly #behind = new Map<number, Set<number>>();
  readonly #firstOf = new Map<number, number>();

  /**
   * The slot noted before that has the same vector; undefined after noting this one.
   *
   * @param vectorOf what a slot has in the graph
   */
  findOrNote(
    slot: number,
    vector: Float32Array,
    vectorOf: (slot: number) => Float32Array,
  ): number | undefined {
    const hash = hashOf(vector);
    const first = this.#firsts.get(hash);
    if (first !== undefined) return isSame(vector, vectorOf(first)) ? first : undefined;
    if (this.#firsts.size < NOTED_MAX) this.#firsts.set(hash, slot);
    return undefined;
  }

  /** The same, without noting it. */
  findSame(vector: Float32Array, vectorOf: (slot: number) => Float32Array): number | undefined {
    const first = this.#firsts.get(hashOf(vector));
    return first !== undefined && isSame(vector, vectorOf(first)) ? first : undefined;
  }

  add(twin: number, first: number): void {
    const behind = this.#behind.get(first);
    if (behind === undefined) this.#behind.set(first, new Set([twin]));
    else behind.add(twin);
    this.#firstOf.set(twin, first);
  }

  /** The slot that a twin is behind, when it is one. */
  firstOf(twin: number): number | undefined {
    return this.#firstOf.get(twin);
  }

  /** Those behind a slot. */
  behind(first: number): ReadonlySet<number> {
    return this.#behind.get(first) ?? new Set();
  }

  /** Returns the slot that it was behind. */
  remove(twin: number): number | undefined {
    const first = this.#firstOf.get(twin);
    if (first === undefined) return undefined;
    this.#firstOf.delete(twin);
    const behind = this.#behind.get(first)!;
    behind.delete(twin);
    if (behind.size === 0) this.#behind.delete(first);
    return first;
  }
}

/** FNV-1a (Fowler, Noll, Vo 1991), a word at a time; 0 and -0 are equal, so they hash alike. */
function hashOf(vector: Float32Array): number {
  const words = new Uint32Array(vector.map((component) => component + 0).buffer);
  let hash = 0x811c9dc5;
  for (const word of words) {
    hash = Math.imul(hash ^ word, 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

function isSame(a: Float32Array, b: Float32Array): boolean {
  return a.every((component, i) => component === b[i]);
}
