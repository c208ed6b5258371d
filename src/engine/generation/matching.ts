/** Filters outside of searches: how many keys match, which to delete, and what a search would do. */
import type { Expression } from "../filter/expression.ts";
import { nameOf } from "../filter/expression.ts";
import { expressionOf } from "../filter/expressions.ts";
import type { Bitmap } from "../slots/bitmap.ts";
import { REMOVE_BYTES } from "../slots/keys.ts";
import type { Generation } from "./generation.ts";
import type { Lifetimes } from "./lifetimes.ts";

/** What VSTORE.EXPLAIN shows, in display order. */
export interface Explanation {
  readonly [fact: string]: string | number | readonly string[];
}

export class Matching {
  /** The one that a compaction last put in place. */
  readonly #generation: () => Generation;
  readonly #lifetimes: Lifetimes;

  constructor(generation: () => Generation, lifetimes: Lifetimes) {
    this.#generation = generation;
    this.#lifetimes = lifetimes;
  }

  /** Prepares reads of all slots together, in the generation that serves. */
  async settle(filter: Expression | undefined): Promise<void> {
    await this.#lifetimes.hideExpired();
    for (let settled: Generation | undefined; filter !== undefined && settled !== this.#generation(); ) {
      settled = this.#generation();
      await settled.filters.prepare(filter);
    }
  }

  /** The slots that match and have not expired. @throws {VstoreError} ERR, LIMIT */
  async slots(filter: string): Promise<Bitmap> {
    const expression = expressionOf(filter);
    await this.settle(expression);
    return this.#generation().allowed(expression)!;
  }

  /** Does in slices what `delete` would otherwise do for the filter first. @throws {VstoreError} ERR, LIMIT */
  async prepare(filter: string): Promise<void> {
    await this.settle(expressionOf(filter));
  }

  /**
   * Removes the keys that match and have not expired by `time`, at most `max`, those that were written first. A replay
   * of the log meets the same keys and attributes in the same order, so it removes the same.
   *
   * @returns how many
   * @throws {VstoreError} ERR, FULL; none is removed then
   */
  delete(filter: string, max: number, time: number): number {
    const generation = this.#generation();
    const slots = this.#first(filter, max, time);
    generation.ensure(0, slots.length * REMOVE_BYTES, 0);
    for (const slot of slots) generation.remove(generation.parts.keys.table.keyOf(slot));
    return slots.length;
  }

  /** The keys that `delete` would remove. @throws {VstoreError} ERR */
  keys(filter: string, max: number, time: number): Uint8Array[] {
    const { table } = this.#generation().parts.keys;
    return this.#first(filter, max, time).map((slot) => table.keyOf(slot));
  }

  /** Slots that match and have not expired by `time`, at most `max`, those that were written first. */
  #first(filter: string, max: number, time: number): number[] {
    const generation = this.#generation();
    const slots: number[] = [];
    for (const slot of generation.filters.matches(expressionOf(filter)).bitmap.slots()) {
      if (slots.length === max) break;
      if (!generation.expiry.isPast(slot, time)) slots.push(slot);
    }
    return slots;
  }

  /** How a search with the filter would run. @throws {VstoreError} ERR, LIMIT */
  async explain(filter: string, k: number, givenEf: number | undefined): Promise<Explanation> {
    const expression = expressionOf(filter);
    const start = performance.now();
    await this.settle(expression);
    const ms = performance.now() - start;
    const estimated = await this.#generation().filters.estimate(expression);
    await this.settle(expression);
    const generation = this.#generation();
    const matches = generation.allowed(expression)!.count;
    const { cost } = generation.filters.matches(expression);
    const { columns } = generation.filters;
    const ef = Math.max(givenEf ?? generation.parts.manifest.options.ef, k);
    const names = (has: boolean) =>
      expression.fields.filter(({ path }) => columns.has(path) === has).map(({ path }) => nameOf(path));
    return {
      vectors: generation.parts.live.count,
      estimated_matches: estimated,
      matches,
      plan: generation.indexer.index.planOf(matches, ef),
      count: k,
      ef,
      columns: names(true),
      without_column: names(false),
      slots_evaluated: cost.slots,
      json_read: cost.fromJson,
      evaluation_ms: ms,
    };
  }
}
