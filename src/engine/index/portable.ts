/**
 * The index where the native one could not be built: hnswlib-node's graph over the indexed slots, and an exact scan of
 * the rest, on the event loop's thread. Distances are computed from the mapped rows on every path, so that they agree
 * to the last bit whichever way a vector was found.
 */

import type { CollectionOptions, Metric } from "../options.ts";
import type { Bitmap } from "../slots/bitmap.ts";
import { type Distance, distanceTo } from "./distance.ts";
import { scan } from "./exact.ts";
import { HnswlibGraph } from "./hnswlib.ts";
import { Nearest } from "./nearest.ts";
import type {
  IndexHealth,
  Neighbour,
  Question,
  VectorIndex,
  VectorIndexKind,
  VectorSource,
} from "./vector-index.ts";

/** Slots added between two moves of the watermark: each takes about 0.3 ms. */
const BATCH_SLOTS = 16;

export function portableKind(options: CollectionOptions): VectorIndexKind {
  return {
    name: "hnswlib-node",
    quantization: "F32",
    batchSlots: BATCH_SLOTS,
    blocks: true,
    provesItself: false,
    create: async (source) => new PortableIndex(HnswlibGraph.create(options, source), source, options.metric),
    load: async (source, path, unreached) =>
      new PortableIndex(await HnswlibGraph.load(options, source, path, unreached), source, options.metric),
  };
}

/** The slots that a search which began at some moment sees: those that die meanwhile too, and none that is born. */
class View {
  readonly slots: number;
  readonly #live: Bitmap;
  readonly #allowed: Bitmap | undefined;
  readonly #diedSince = new Set<number>();

  constructor({ segments, live }: VectorSource, allowed: Bitmap | undefined) {
    this.slots = segments.length;
    this.#live = live;
    this.#allowed = allowed;
  }

  readonly sees = (slot: number): boolean =>
    (this.#live.has(slot) || this.#diedSince.has(slot)) && (this.#allowed?.has(slot) ?? true);

  died(slot: number): void {
    if (slot < this.slots) this.#diedSince.add(slot);
  }
}

class PortableIndex implements VectorIndex {
  readonly #graph: HnswlibGraph;
  readonly #source: VectorSource;
  readonly #metric: Metric;
  /** Of the searches under way. */
  readonly #views = new Set<View>();

  constructor(graph: HnswlibGraph, source: VectorSource, metric: Metric) {
    this.#graph = graph;
    this.#source = source;
    this.#metric = metric;
  }

  get unreached(): readonly number[] {
    return this.#graph.unreached;
  }

  get memoryBytes(): number {
    return this.#graph.fileBytes;
  }

  /** Nothing is. */
  get mapped(): { readonly bytes: number; readonly resident: number } {
    return { bytes: 0, resident: 0 };
  }

  get fileBytes(): number {
    return this.#graph.fileBytes;
  }

  born(): void {} // the scan finds it

  died(slot: number): void {
    for (const view of this.#views) view.died(slot);
    this.#graph.remove(slot);
  }

  add(from: number, to: number): Promise<void> {
    return this.#graph.add(from, to);
  }

  mend(from: number, to: number): Promise<void> {
    return this.#graph.mend(from, to);
  }

  get health(): IndexHealth {
    const missed = this.#graph.unreached.length;
    return { missed, relinked: missed, centred: false };
  }

  async search(question: Question): Promise<readonly Neighbour[]> {
    for (let late = question.late(); late !== undefined; late = question.late()) await late;
    const allowed = question.allowed(question.filter);
    const view = new View(this.#source, allowed);
    this.#views.add(view);
    try {
      return await this.#nearest(question, view, allowed);
    } finally {
      this.#views.delete(view);
    }
  }

  planOf(): string {
    return this.#graph.live === 0 ? "compare" : "walk";
  }

  save(path: string): Promise<void> {
    return this.#graph.save(path);
  }

  /** Its file was read as a whole. */
  async prove(): Promise<boolean> {
    return true;
  }

  close(): void {} // the garbage collector's

  async #nearest(question: Question, view: View, allowed: Bitmap | undefined): Promise<Neighbour[]> {
    const { segments } = this.#source;
    const { within, watermark } = question;
    const distance = distanceTo(question.query, this.#metric);
    const candidates = question.exact ? undefined : this.#candidates(question, view, allowed);
    const nearest = new Nearest(Math.min(question.k, Math.max(view.slots, 1)));
    for (const slot of candidates ?? []) offer(nearest, slot, this.#distanceOf(slot, distance), within);
    const unseen: [number, number] = [candidates === undefined ? 0 : watermark, view.slots];
    await scan(segments, unseen, distance, view.sees, within, nearest);
    return nearest.sorted();
  }

  /** From the graph; undefined when it finds fewer than k though more may be alive in it, or holds nothing. */
  #candidates(
    { query, k, ef, watermark }: Question,
    view: View,
    allowed: Bitmap | undefined,
  ): readonly number[] | undefined {
    if (this.#graph.live === 0) return undefined;
    const all = this.#graph.search(query, Math.max(k, ef), allowed);
    // The scan of the tail finds what the graph has taken over from it since the search began.
    const found = all && [...all].filter((slot) => slot < watermark && view.sees(slot));
    return found === undefined || found.length < Math.min(k, this.#graph.live) ? undefined : found;
  }

  #distanceOf(slot: number, distance: Distance): number {
    return distance(this.#source.segments.row(slot), 0);
  }
}

function offer(nearest: Nearest, slot: number, distance: number, within: number): void {
  if (distance <= within) nearest.offer(slot, distance);
}
