/**
 * The portable graph: HNSW (Malkov & Yashunin 2018) by hnswlib-node. It is synchronous, keeps a copy of every
 * vector and takes plain arrays; labels are slots. A removed node stays in the graph as a way through.
 */
import { createRequire } from "node:module";
import type { HierarchicalNSW } from "hnswlib-node";
import { notBuilt } from "../addon.ts";
import { COMPONENT_BYTES } from "../disk/layout.ts";
import type { CollectionOptions, Metric } from "../options.ts";
import { Bitmap } from "../slots/bitmap.ts";
import { TimeSlice } from "../time-slice.ts";
import type { VectorSource } from "./vector-index.ts";

/** Nodes the graph has room for at first; it doubles when they are used up. */
const CAPACITY_MIN = 1024;
/** Levels are drawn from this seed, so that the same insertions give the same graph. */
const LEVEL_SEED = 100;

const SPACE = { COSINE: "cosine", L2: "l2", IP: "ip" } as const satisfies Record<Metric, string>;

const emptyGraph = ({ metric, dimensions }: CollectionOptions) =>
  new (requireHnswlib().HierarchicalNSW)(SPACE[metric], dimensions);

/** Only when it is needed: it is compiled too, and may not be there. @throws {VstoreError} ERR then */
export function requireHnswlib(): typeof import("hnswlib-node") {
  try {
    return createRequire(import.meta.url)("hnswlib-node");
  } catch {
    throw notBuilt("the index, native or portable,");
  }
}

export class HnswlibGraph {
  readonly #graph: HierarchicalNSW;
  readonly #source: VectorSource;
  readonly #nodeBytes: number;
  readonly #live = new Bitmap();
  /** Goes on from one call of `add` to the next: many short ones must not keep the event loop either. */
  readonly #slice = new TimeSlice();
  /** Removals that came while the graph was being written; the writer reads it from another thread. */
  #postponed: Set<number> | undefined;

  private constructor(graph: HierarchicalNSW, { dimensions, M }: CollectionOptions, source: VectorSource) {
    this.#graph = graph;
    this.#source = source;
    // The vector, 2 M links of the lowest layer, their number, the label, and those of the layers above on average.
    this.#nodeBytes = COMPONENT_BYTES * dimensions + 4 * (2 * M + 1) + 8 + 4 * 2;
    for (const slot of graph.getIdsList()) this.#adopt(slot);
  }

  static create(options: CollectionOptions, source: VectorSource): HnswlibGraph {
    const graph = emptyGraph(options);
    graph.initIndex(CAPACITY_MIN, options.M, options.efConstruction, LEVEL_SEED);
    return new HnswlibGraph(graph, options, source);
  }

  /** @throws when the file is not a graph of these options */
  static async load(options: CollectionOptions, source: VectorSource, path: string): Promise<HnswlibGraph> {
    const graph = emptyGraph(options);
    await graph.readIndex(path);
    return new HnswlibGraph(graph, options, source);
  }

  /** Nodes, removed ones included. */
  get length(): number {
    return this.#graph.getCurrentCount();
  }

  /** Nodes that a search may return. */
  get live(): number {
    return this.#live.count;
  }

  get fileBytes(): number {
    return this.length * this.#nodeBytes;
  }

  /** Adds the slots of [from, to) that are alive, in slices of the event loop's time. */
  async add(from: number, to: number): Promise<void> {
    for (let slot = from; slot < to; slot++) {
      if (this.#slice.spent) await this.#slice.pause();
      if (this.#source.live.has(slot)) this.#link(slot);
    }
  }

  /**
   * About the k nearest live nodes, in no particular order.
   *
   * @param ef candidates kept, at least k are
   * @param allowed slots that may be found; all without it
   */
  search(query: Float32Array, k: number, ef: number, allowed: Bitmap | undefined): readonly number[] {
    const asked = Math.min(k + (this.#postponed?.size ?? 0), this.length);
    if (asked === 0) return [];
    this.#graph.setEf(Math.max(ef, asked));
    const filter = allowed && ((slot: number) => allowed.has(slot));
    const { neighbors } = this.#graph.searchKnn(Array.from(query), asked, filter);
    return this.#postponed === undefined ? neighbors : neighbors.filter((slot) => this.#live.has(slot));
  }

  /** The slot is never returned again. Unknown slots are ignored. */
  remove(slot: number): void {
    if (!this.#live.has(slot)) return;
    this.#live.delete(slot);
    if (this.#postponed === undefined) this.#graph.markDelete(slot);
    else this.#postponed.add(slot);
  }

  async save(path: string): Promise<void> {
    this.#postponed = new Set();
    try {
      await this.#graph.writeIndex(path);
    } finally {
      const postponed = this.#postponed;
      this.#postponed = undefined;
      for (const slot of postponed) this.#graph.markDelete(slot);
    }
  }

  #link(slot: number): void {
    if (this.length === this.#graph.getMaxElements()) this.#graph.resizeIndex(this.length * 2);
    this.#graph.addPoint(Array.from(this.#source.segments.row(slot)), slot);
    this.#live.add(slot);
  }

  /** A node of a loaded graph: its slot may have died before the graph was saved, or since. */
  #adopt(slot: number): void {
    if (this.#source.live.has(slot)) {
      this.#live.add(slot);
      return;
    }
    try {
      this.#graph.markDelete(slot);
    } catch {
      // It was marked when the graph was saved; hnswlib has no way to ask.
    }
  }
}
