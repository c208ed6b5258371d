/** Runs searches of the index, and keeps the files open that a search reads. */
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { Expression } from "../filter/expression.ts";
import type { Bitmap } from "../slots/bitmap.ts";
import type { Indexer } from "./indexer.ts";
import type { Neighbour, TakeFound } from "./vector-index.ts";

/** The options of a search of the index; the caller's filter text is a parsed expression here. */
export interface SearchOptions {
  /** Results wanted. */
  readonly k: number;
  /** Candidates kept by the index; the collection's ef without it. */
  readonly ef?: number | undefined;
  /** Look at every row instead of asking the index. */
  readonly exact?: boolean | undefined;
  /** Largest distance of a result. */
  readonly within?: number | undefined;
  /** Must be true of the attributes of a result. */
  readonly filter?: Expression | undefined;
  /** Only these slots, whatever the filter says. The set does not change. */
  readonly among?: Bitmap | undefined;
}

/** A search without a filter, of rows that are proved. */
export interface PlainQuestion {
  readonly k: number;
  readonly ef: number | undefined;
  readonly within: number;
}

const neverLate = () => undefined;

export interface SearchHooks {
  /** The slots that a search which begins now may find; all of them may be when it is undefined. */
  readonly allowed: (filter: Expression | undefined) => Bitmap | undefined;
  /** Undefined where `allowed` takes no time worth mentioning. */
  readonly prepareIfLate: (filter: Expression) => Promise<void> | undefined;
  /** Makes sure that the rows of the results are what was written; undefined where that is known. */
  readonly prove: (found: readonly Neighbour[]) => Promise<void> | undefined;
}

export class Searcher {
  readonly #indexer: Indexer;
  readonly #ef: number;
  readonly #hooks: SearchHooks;
  #underWay = 0;
  #becameIdle: (() => void) | undefined;

  /** @param ef of a search that names none */
  constructor(indexer: Indexer, ef: number, hooks: SearchHooks) {
    this.#indexer = indexer;
    this.#ef = ef;
    this.#hooks = hooks;
  }

  /**
   * The nearest of all live vectors: k of them whenever k exist (within the given distance).
   *
   * @param query shape (dimensions), checked by the caller
   * @param describe turns them into the answer; the files stay open while it runs
   */
  async search<T>(
    query: Float32Array,
    { k, ef = this.#ef, exact = false, within = Number.POSITIVE_INFINITY, filter, among }: SearchOptions,
    describe: (found: readonly Neighbour[]) => readonly T[] | Promise<readonly T[]>,
  ): Promise<readonly T[]> {
    assertCount(k);
    const { index, watermark } = this.#indexer;
    const allowed = among === undefined ? this.#hooks.allowed : () => among;
    const late = () => (among || filter === undefined ? undefined : this.#hooks.prepareIfLate(filter));
    const question = { query, k, ef, exact, within, watermark, filter, allowed, late };
    return this.reading(async () => {
      const found = await index.search(question);
      const proof = this.#hooks.prove(found);
      if (proof !== undefined) await proof;
      return describe(found);
    });
  }

  /**
   * The same without a promise and without an object for each neighbour.
   *
   * @param answer may throw: then `fail` is called
   * @returns false where the index cannot, and neither is ever called
   */
  ask(
    query: Float32Array,
    { k, ef = this.#ef, within }: PlainQuestion,
    answer: TakeFound,
    fail: (error: unknown) => void,
  ): boolean {
    const { index, watermark } = this.#indexer;
    if (index.ask === undefined) return false;
    const { allowed } = this.#hooks;
    const question = {
      query,
      k,
      ef,
      exact: false,
      within,
      watermark,
      filter: undefined,
      allowed,
      late: neverLate,
    };
    this.#underWay++;
    const end = (error: unknown) => {
      fail(error);
      this.#ended();
    };
    const take: TakeFound = (found, at) => {
      try {
        answer(found, at);
      } catch (error) {
        return end(error);
      }
      this.#ended();
    };
    index.ask(question, take, end);
    return true;
  }

  /** The files stay open while it runs. */
  async reading<T>(run: () => T | Promise<T>): Promise<T> {
    this.#underWay++;
    try {
      return await run();
    } finally {
      this.#ended();
    }
  }

  #ended(): void {
    if (--this.#underWay === 0) this.#becameIdle?.();
  }

  /** Resolves once no search is under way, and nothing else that reads. */
  idle(): Promise<void> {
    if (this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#becameIdle = resolve;
    });
  }
}

/** @throws {VstoreError} ERR */
export function assertCount(k: number): void {
  if (Number.isInteger(k) && k >= limits.countMin && k <= limits.countMax) return;
  const range = `from ${limits.countMin} to ${limits.countMax}`;
  throw new VstoreError("ERR", `'k' must be an integer ${range}, got ${k}`);
}
