/**
 * The portable index: HNSW (Malkov & Yashunin 2018) by hnswlib-node. It is synchronous, keeps a copy of every
 * vector and takes plain arrays; labels are slots. A removed node stays in the graph as a way through.
 */
import { createRequire } from "node:module";
import type { HierarchicalNSW } from "hnswlib-node";
import { Bitmap } from "../bitmap.ts";
import { COMPONENT_BYTES } from "../layout.ts";
import type { CollectionOptions, Metric } from "../options.ts";
import { TimeSlice } from "../time-slice.ts";
import type { VectorIndex, VectorIndexKind, VectorSource } from "./vector-index.ts";

const hnswlib = createRequire(import.meta.url)("hnswlib-node") as typeof import("hnswlib-node");

/** Nodes the graph has room for at first; it doubles when they are used up. */
const CAPACITY_MIN = 1024;
/** Levels are drawn from this seed, so that the same insertions give the same graph. */
const LEVEL_SEED = 100;

const SPACE = { COSINE: "cosine", L2: "l2", IP: "ip" } as const satisfies Record<Metric, string>;

export function hnswlibKind(options: CollectionOptions): VectorIndexKind {
  const empty = () => new hnswlib.HierarchicalNSW(SPACE[options.metric], options.dimensions);
  // The vector, 2 M links of the lowest layer, their number, the label, and those of the layers above on average.
  const nodeBytes = COMPONENT_BYTES * options.dimensions + 4 * (2 * options.M + 1) + 8 + 4 * 2;
  return {
    name: "hnswlib-node",
    create(source) {
      const graph = empty();
      graph.initIndex(CAPACITY_MIN, options.M, options.efConstruction, LEVEL_SEED);
      return new HnswlibIndex(graph, source, nodeBytes);
    },
    async load(source, path) {
      const graph = empty();
      await graph.readIndex(path);
      return new HnswlibIndex(graph, source, nodeBytes);
    },
  };
}

class HnswlibIndex implements VectorIndex {
  readonly #graph: HierarchicalNSW;
  readonly #source: VectorSource;
  readonly #nodeBytes: number;
  readonly #live = new Bitmap();
  /** Removals that came while the graph was being written; the writer reads it from another thread. */
  #postponed: Set<number> | undefined;

  constructor(graph: HierarchicalNSW, source: VectorSource, nodeBytes: number) {
    this.#graph = graph;
    this.#source = source;
    this.#nodeBytes = nodeBytes;
    for (const slot of graph.getIdsList()) this.#adopt(slot);
  }

  get length(): number {
    return this.#graph.getCurrentCount();
  }

  get live(): number {
    return this.#live.count;
  }

  get fileBytes(): number {
    return this.length * this.#nodeBytes;
  }

  async add(slots: readonly number[]): Promise<void> {
    const slice = new TimeSlice();
    for (const slot of slots) {
      if (slice.spent) await slice.pause();
      if (this.#source.has(slot)) this.#link(slot);
    }
  }

  async search(query: Float32Array, k: number, ef: number): Promise<readonly number[]> {
    const asked = Math.min(k + (this.#postponed?.size ?? 0), this.length);
    if (asked === 0) return [];
    this.#graph.setEf(Math.max(ef, asked));
    const { neighbors } = this.#graph.searchKnn(Array.from(query), asked);
    return this.#postponed === undefined ? neighbors : neighbors.filter((slot) => this.#live.has(slot));
  }

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
    this.#graph.addPoint(Array.from(this.#source.row(slot)), slot);
    this.#live.add(slot);
  }

  /** A node of a loaded graph: its slot may have died before the graph was saved, or since. */
  #adopt(slot: number): void {
    if (this.#source.has(slot)) {
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
