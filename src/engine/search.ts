/**
 * Search = the index over indexed slots + an exact scan of the tail, merged. It answers as of the moment it began: a
 * slot that dies while a long scan goes on is still found, one that is born is not. Distances are computed from
 * the mapped rows on every path, so that the index and EXACT agree to the last bit.
 */
import { VstoreError } from "../errors.ts";
import type { Bitmap } from "./bitmap.ts";
import { type Distance, distanceTo } from "./distance.ts";
import { scan } from "./exact.ts";
import type { Indexer } from "./indexer.ts";
import { Nearest } from "./nearest.ts";
import type { CollectionOptions } from "./options.ts";
import type { Segments } from "./segments.ts";

export interface SearchOptions {
  /** Results wanted. */
  readonly k: number;
  /** Candidates kept by the index; the collection's ef without it. */
  readonly ef?: number | undefined;
  /** Look at every row instead of asking the index. */
  readonly exact?: boolean | undefined;
  /** Largest distance of a result. */
  readonly within?: number | undefined;
}

export interface Neighbour {
  readonly slot: number;
  readonly distance: number;
}

/** The slots that a search which began at some moment sees. */
class View {
  readonly slots: number;
  /** Slots below it were in the index or dead when the search began. */
  readonly watermark: number;
  readonly #live: Bitmap;
  readonly #diedSince = new Set<number>();

  constructor(slots: number, watermark: number, live: Bitmap) {
    this.slots = slots;
    this.watermark = watermark;
    this.#live = live;
  }

  readonly sees = (slot: number): boolean => this.#live.has(slot) || this.#diedSince.has(slot);

  killed(slot: number): void {
    if (slot < this.slots) this.#diedSince.add(slot);
  }
}

export class Searcher {
  readonly #options: CollectionOptions;
  readonly #segments: Segments;
  readonly #live: Bitmap;
  readonly #indexer: Indexer;
  /** Of the searches under way. */
  readonly #views = new Set<View>();
  #becameIdle: (() => void) | undefined;

  constructor(options: CollectionOptions, segments: Segments, live: Bitmap, indexer: Indexer) {
    this.#options = options;
    this.#segments = segments;
    this.#live = live;
    this.#indexer = indexer;
  }

  /** To be called when a slot has died. */
  noticeDeath(slot: number): void {
    for (const view of this.#views) view.killed(slot);
  }

  /**
   * The nearest of all live vectors: k of them whenever k exist (within the given distance).
   *
   * @param query shape (dimensions), checked by the caller
   * @param describe what to answer of each; the files it reads are open while it runs
   */
  async search<T>(
    query: Float32Array,
    options: SearchOptions,
    describe: (neighbour: Neighbour) => T,
  ): Promise<T[]> {
    assertCount(options.k);
    const view = new View(this.#segments.length, this.#indexer.watermark, this.#live);
    this.#views.add(view);
    try {
      return (await this.#nearest(query, options, view)).map(describe);
    } finally {
      this.#views.delete(view);
      if (this.#views.size === 0) this.#becameIdle?.();
    }
  }

  /** Resolves once no search is under way. */
  idle(): Promise<void> {
    if (this.#views.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#becameIdle = resolve;
    });
  }

  async #nearest(query: Float32Array, options: SearchOptions, view: View): Promise<Neighbour[]> {
    const { within = Number.POSITIVE_INFINITY } = options;
    const distance = distanceTo(query, this.#options.metric);
    const candidates = options.exact ? undefined : await this.#candidates(query, options);
    const nearest = new Nearest(Math.min(options.k, Math.max(view.slots, 1)));
    for (const slot of candidates ?? []) {
      // The scan below finds what the index has taken over from the tail since the search began.
      if (slot < view.watermark && view.sees(slot))
        offer(nearest, slot, this.#distanceOf(slot, distance), within);
    }
    const unseen: [number, number] = [candidates === undefined ? 0 : view.watermark, view.slots];
    await scan(this.#segments, unseen, distance, view.sees, within, nearest);
    return nearest.sorted();
  }

  /** From the index; undefined when it holds fewer than k though more are alive in it, or holds nothing. */
  async #candidates(query: Float32Array, { k, ef }: SearchOptions): Promise<readonly number[] | undefined> {
    const { index } = this.#indexer;
    if (index.live === 0) return undefined;
    const wanted = Math.min(k, index.live);
    const found = await index.search(query, k, ef ?? this.#options.ef);
    return found.length < wanted ? undefined : found;
  }

  #distanceOf(slot: number, distance: Distance): number {
    return distance(this.#segments.row(slot), 0);
  }
}

function offer(nearest: Nearest, slot: number, distance: number, within: number): void {
  if (distance <= within) nearest.offer(slot, distance);
}

function assertCount(k: number): void {
  if (!Number.isInteger(k) || k < 1) throw new VstoreError("ERR", `'k' must be a positive integer, got ${k}`);
}
