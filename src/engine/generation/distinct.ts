/**
 * At most so many results for each value of a field. A first search asks for more results than wanted. When values that
 * have enough results crowd out the others, the next search excludes the keys with those values. Each search finds
 * something new, so all results are found whenever they exist.
 */
import { createHash } from "node:crypto";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { lookUp } from "../filter/expression.ts";
import { expressionOf } from "../filter/expressions.ts";
import type { Value } from "../filter/value.ts";
import { type AttributesRoom, describeHits, type Hit, type KeySet } from "../hits.ts";
import type { SearchOptions as IndexSearchOptions } from "../index/searcher.ts";
import type { Neighbour } from "../index/vector-index.ts";
import type { Bitmap } from "../slots/bitmap.ts";
import { TimeSlice } from "../time-slice.ts";
import type { Generation } from "./generation.ts";
import type { Matching } from "./matching.ts";

export interface Distinct {
  /** Name of a field, or names from the outermost object inwards with dots between them. */
  readonly field: string;
  /** Results for each value; 1 without it. */
  readonly per?: number | undefined;
  /** Called before so many rows are looked at for a further search; what it throws ends the search. */
  readonly looksAgain?: ((rows: number) => void) | undefined;
}

/** The first search asks for so many results for each wanted one; each later one for so many times as many. */
const ASKED_PER_RESULT = 4;
const FIELD = /^\.?([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)$/;
/** A longer text of a value is known by its digest: the values of all results may be too large to be kept. */
const VALUE_TEXT_LENGTH_MAX = 256;
/** Rows looked at between two looks at the clock, where none has to be read from its JSON. */
const ROWS_PER_CHECK = 16;
/** Begins the text of a value that is no plain string or number, so that it equals none. */
const TEXT_MARK = "\0";

export interface DistinctSource {
  readonly matching: Matching;
  readonly generation: () => Generation;
  /** Keys that are no results. */
  readonly without: KeySet;
  /** With it, hits have attributes. */
  readonly attributes: AttributesRoom | undefined;
}

type Options = Omit<IndexSearchOptions, "filter" | "among"> & { readonly filter: string | undefined };

/** @throws {VstoreError} ERR, LIMIT */
export async function searchDistinct(
  source: DistinctSource,
  query: Float32Array,
  options: Options,
  { field, per = 1, looksAgain }: Distinct,
): Promise<Hit[]> {
  const path = pathOf(field);
  assertLimits(options.k, per);
  // True of every value, and false where there is none.
  const isThere = `(.${path.join(".")} or 1)`;
  if (options.filter !== undefined) expressionOf(options.filter);
  const filter = options.filter === undefined ? isThere : `(${options.filter.split("\0")[0]}) and ${isThere}`;
  for (;;) {
    const slots = await source.matching.slots(filter);
    const generation = source.generation();
    const found = await new DistinctSearch(source, generation, path, per, looksAgain).run(
      query,
      options,
      slots,
    );
    // A compaction has moved the slots: once more.
    if (generation === source.generation())
      return generation.searcher.reading(() => describeHits(found, generation.parts, source.attributes));
  }
}

class DistinctSearch {
  readonly #source: DistinctSource;
  readonly #generation: Generation;
  readonly #path: readonly string[];
  readonly #per: number;
  readonly #looksAgain: Distinct["looksAgain"];
  /** Results of each value. */
  readonly #counts = new Map<string | number, number>();
  readonly #hits: Neighbour[] = [];
  readonly #taken = new Set<number>();
  /** Values that were read from the JSON: that may take a millisecond each. */
  #read = 0;

  constructor(
    source: DistinctSource,
    generation: Generation,
    path: readonly string[],
    per: number,
    looksAgain: Distinct["looksAgain"],
  ) {
    this.#source = source;
    this.#generation = generation;
    this.#path = path;
    this.#per = per;
    this.#looksAgain = looksAgain;
  }

  async run(query: Float32Array, { filter: _, ...options }: Options, slots: Bitmap): Promise<Neighbour[]> {
    let asked = options.k * ASKED_PER_RESULT + this.#source.without.size;
    for (let among = slots; this.#isCurrent; asked *= ASKED_PER_RESULT) {
      const k = Math.min(asked, limits.countMax);
      const found = await this.#generation.searcher.search(
        query,
        { ...options, k, among },
        async (nearest) => {
          await this.#take(nearest, options.k);
          return nearest;
        },
      );
      const isDone = this.#hits.length >= options.k || found.length < k;
      if (isDone || !this.#isCurrent) break;
      among = await this.#rest(among);
    }
    return this.#hits.sort((a, b) => a.distance - b.distance).slice(0, options.k);
  }

  /** Takes those whose value has not enough results yet, nearest first, until there are as many as wanted. */
  async #take(nearest: readonly Neighbour[], wanted: number): Promise<void> {
    const { table } = this.#generation.parts.keys;
    const slice = new TimeSlice();
    for (const neighbour of nearest) {
      if (slice.spent) await slice.pause();
      if (this.#hits.length >= wanted) break;
      if (this.#taken.has(neighbour.slot) || this.#source.without.has(table.keyOf(neighbour.slot))) continue;
      const value = this.#valueOf(neighbour.slot);
      const count = this.#counts.get(value) ?? 0;
      if (count >= this.#per) continue;
      this.#counts.set(value, count + 1);
      this.#taken.add(neighbour.slot);
      this.#hits.push(neighbour);
    }
  }

  /** The slots without the values that have enough results, and without the results so far. */
  async #rest(slots: Bitmap): Promise<Bitmap> {
    this.#looksAgain?.(slots.count);
    const rest = slots.intersection();
    const slice = new TimeSlice();
    let looked = 0;
    for (const slot of slots.slots()) {
      const read = this.#read;
      if (this.#taken.has(slot) || (this.#counts.get(this.#valueOf(slot)) ?? 0) >= this.#per)
        rest.delete(slot);
      if (++looked % ROWS_PER_CHECK > 0 && read === this.#read) continue;
      if (slice.spent) await slice.pause();
      if (!this.#isCurrent) break;
    }
    return rest;
  }

  /** Afterwards its files are closed. @throws {VstoreError} once those of the collection are */
  get #isCurrent(): boolean {
    return this.#source.generation() === this.#generation;
  }

  /** The value of the field, or its text, to tell values apart. */
  #valueOf(slot: number): string | number {
    const found = this.#generation.filters.columns.of(this.#path)?.get(slot);
    return identityOf(found?.value ?? this.#fromJson(slot, found));
  }

  #fromJson(slot: number, found: { readonly value: Value } | null | undefined): Value | undefined {
    if (found !== null && found !== undefined) return found.value;
    this.#read++;
    const json = this.#generation.parts.attributes.parsed(slot);
    return json && lookUp(json, this.#path);
  }
}

/** What tells values apart: the value itself, or a text of it. */
export function identityOf(value: Value | undefined): string | number {
  if (typeof value === "number") return value;
  const isPlain = typeof value === "string" && value.length <= VALUE_TEXT_LENGTH_MAX;
  if (isPlain && !value.startsWith(TEXT_MARK)) return value;
  const text = JSON.stringify(value ?? null);
  const isShort = text.length <= VALUE_TEXT_LENGTH_MAX;
  return TEXT_MARK + (isShort ? text : createHash("sha256").update(text).digest("base64"));
}

/** @throws {VstoreError} ERR */
export function pathOf(field: string): string[] {
  const path = FIELD.exec(field)?.[1];
  if (path !== undefined) return path.split(".");
  throw new VstoreError(
    "ERR",
    `'DISTINCT' must be the name of a field such as year or author.country, got ${JSON.stringify(field)}`,
  );
}

function assertLimits(k: number, per: number): void {
  const { distinctCountMax } = limits;
  if (!Number.isInteger(per) || per < 1 || per > distinctCountMax) {
    throw new VstoreError("ERR", `'PER' must be an integer from 1 to ${distinctCountMax}, got ${per}`);
  }
  if (k <= distinctCountMax) return;
  throw new VstoreError(
    "LIMIT",
    `COUNT and OFFSET must be at most ${distinctCountMax} together with DISTINCT, got ${k}`,
  );
}
