/**
 * The searches of a collection with all their options: a filter, an offset, excluded keys, distinct values. Each
 * becomes one search of the index, or a few.
 */
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { expressionOf } from "../filter/expressions.ts";
import { type AttributesRoom, describeHits, excluding, type Hit, KeySet } from "../hits.ts";
import type { GraphSearchResults } from "../index/native-addon.ts";
import {
  assertCount,
  type SearchOptions as IndexSearchOptions,
  type PlainQuestion,
} from "../index/searcher.ts";
import type { KeyTable } from "../slots/key-table.ts";
import { type Distinct, searchDistinct } from "./distinct.ts";
import type { Generation } from "./generation.ts";
import type { Matching } from "./matching.ts";

export interface SearchOptions extends Omit<IndexSearchOptions, "filter" | "among"> {
  /** Only keys whose attributes match it, see docs/filters.md. */
  readonly filter?: string | undefined;
  /** Results skipped at the beginning; together with k at most limits.countMax. */
  readonly offset?: number | undefined;
  /** Limits the results for each value of a field of the attributes; keys without the field are no results. */
  readonly distinct?: Distinct | undefined;
}

/** What to return of a hit, and which keys to exclude. */
export interface HitOptions {
  /** With it, hits have attributes. */
  readonly attributes?: AttributesRoom | undefined;
  readonly without?: readonly Uint8Array[] | undefined;
}

/** What a plain search has found, and the keys of its slots. */
export type TakeKeys = (keys: KeyTable, found: GraphSearchResults, at: number) => void;

export class Questions {
  readonly #generation: () => Generation;
  readonly #matching: Matching;

  constructor(generation: () => Generation, matching: Matching) {
    this.#generation = generation;
    this.#matching = matching;
  }

  /**
   * The keys that `ask` would tell, where nothing has to be waited for but the index.
   *
   * @param answer may throw: then `fail` is called
   * @returns false where something has, and neither is ever called
   */
  askPlainly(
    query: Float32Array,
    question: PlainQuestion,
    answer: TakeKeys,
    fail: (error: unknown) => void,
  ): boolean {
    const { expiry, parts, searcher } = this.#generation();
    if (expiry.expiring > 0 || !parts.segments.isProved) return false;
    const { table } = parts.keys;
    return searcher.ask(query, question, (found, at) => answer(table, found, at), fail);
  }

  /** @throws {VstoreError} ERR, LIMIT */
  async ask(query: Float32Array, options: SearchOptions & HitOptions): Promise<readonly Hit[]> {
    const { k, ef, exact, within, filter, offset = 0, distinct, attributes } = options;
    const without = KeySet.of(options.without);
    const wanted = k + offset;
    assertWithin(k, offset, without.size);
    const expression = filter === undefined ? undefined : expressionOf(filter);
    if (distinct !== undefined) {
      const shared = { matching: this.#matching, generation: this.#generation, without, attributes };
      const hits = await searchDistinct(shared, query, { k: wanted, ef, exact, within, filter }, distinct);
      return hits.slice(offset);
    }
    if (expression !== undefined || this.#generation().expiry.expiring > 0)
      await this.#matching.settle(expression);
    const { searcher, parts } = this.#generation();
    const asked = { k: wanted + without.size, ef, exact, within, filter: expression };
    return searcher.search(query, asked, (found) => {
      const kept = excluding(found, without, parts);
      return describeHits(kept.slice(offset, wanted), parts, attributes);
    });
  }
}

function assertWithin(k: number, offset: number, without: number): void {
  assertCount(k);
  if (!Number.isInteger(offset) || offset < 0) {
    throw new VstoreError("ERR", `'offset' must be an integer from 0 on, got ${offset}`);
  }
  const { countMax } = limits;
  if (k + offset + without <= countMax) return;
  throw new VstoreError(
    "LIMIT",
    `COUNT, OFFSET and the excluded keys must be at most ${countMax} together, got ${k + offset + without}`,
  );
}
