/**
 * The portable graph: HNSW (Malkov & Yashunin 2018) by hnswlib-node. It is synchronous, keeps a copy of every
 * vector and takes plain arrays; labels are slots. A removed node stays in the graph as a way through.
 *
 * This file makes up for what hnswlib does not do well. Under COSINE it gets vectors of length 1 and compares them by
 * L2, which tells near ones apart where its products of float32 do not. Of equal vectors it gets one. A vector that it
 * does not find is looked at by every search. Where squares overflow or vanish in float32, only exact search is left.
 */
import { createRequire } from "node:module";
import type { HierarchicalNSW } from "hnswlib-node";
import { notBuilt } from "../addon.ts";
import { COMPONENT_BYTES } from "../disk/layout.ts";
import type { CollectionOptions, Metric } from "../options.ts";
import { Bitmap } from "../slots/bitmap.ts";
import { TimeSlice } from "../time-slice.ts";
import { checkGraphFile } from "./hnswlib-file.ts";
import { Twins } from "./twins.ts";
import type { VectorSource } from "./vector-index.ts";

/** Nodes the graph has room for at first; it doubles when they are used up. */
const CAPACITY_MIN = 1024;
/** Levels are drawn from this seed, so that the same insertions give the same graph. */
const LEVEL_SEED = 100;

const SPACE = { COSINE: "l2", L2: "l2", IP: "ip" } as const satisfies Record<Metric, string>;
/** Squares of lengths from here to there are sums that float32 can hold; 0 is one too. */
const SQUARE_MIN = 1e-28;
const SQUARE_MAX = 1e28;
/** Candidates kept while looking whether a vector is found. */
const MENDING_EF = 32;

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
  readonly #metric: Metric;
  readonly #nodeBytes: number;
  readonly #live = new Bitmap();
  readonly #twins = new Twins();
  /** Slots that no walk reached when they were looked for. */
  readonly #missed = new Set<number>();
  /** False once a vector is too long or too short for float32 squares. */
  #isUsable = true;
  /** Shared by all calls of `add`: many short ones must not block the event loop either. */
  readonly #slice = new TimeSlice();
  /** Removals that came while the graph was being written; the writer reads it from another thread. */
  #postponed: Set<number> | undefined;

  private constructor(
    graph: HierarchicalNSW,
    { dimensions, M, metric }: CollectionOptions,
    source: VectorSource,
  ) {
    this.#graph = graph;
    this.#source = source;
    this.#metric = metric;
    // The vector, 2 M links of the lowest layer, their number, the label, and those of the layers above on average.
    this.#nodeBytes = COMPONENT_BYTES * dimensions + 4 * (2 * M + 1) + 8 + 4 * 2;
  }

  static create(options: CollectionOptions, source: VectorSource): HnswlibGraph {
    const graph = emptyGraph(options);
    graph.initIndex(CAPACITY_MIN, options.M, options.efConstruction, LEVEL_SEED);
    return new HnswlibGraph(graph, options, source);
  }

  /** @throws when the file is not a graph of these options */
  static async load(
    options: CollectionOptions,
    source: VectorSource,
    path: string,
    unreached: readonly number[],
  ): Promise<HnswlibGraph> {
    await checkGraphFile(path, options, source.segments.length, CAPACITY_MIN);
    const graph = emptyGraph(options);
    await graph.readIndex(path);
    const loaded = new HnswlibGraph(graph, options, source);
    await loaded.#adopt();
    for (const slot of unreached) if (loaded.#live.has(slot)) loaded.#missed.add(slot);
    return loaded;
  }

  /** Nodes that a search may return. */
  get live(): number {
    return this.#live.count;
  }

  get fileBytes(): number {
    return this.#graph.getCurrentCount() * this.#nodeBytes;
  }

  get unreached(): readonly number[] {
    return [...this.#missed];
  }

  /** Adds the slots of [from, to) that are alive, in slices of the event loop's time. */
  async add(from: number, to: number): Promise<void> {
    for (let slot = from; slot < to; slot++) {
      if (this.#slice.spent) await this.#slice.pause();
      if (this.#source.live.has(slot)) this.#link(slot);
    }
  }

  /** Looks for the slots of [from, to); those that no walk reaches are candidates of every search from then on. */
  async mend(from: number, to: number): Promise<void> {
    for (let slot = from; slot < to; slot++) {
      if (this.#slice.spent) await this.#slice.pause();
      if (!this.#live.has(slot) || this.#twins.firstOf(slot) !== undefined) continue;
      if (!this.#walk(this.#vectorOf(slot), MENDING_EF, undefined).includes(slot)) this.#missed.add(slot);
    }
  }

  /**
   * Slots that may be among the nearest live ones, in no particular order; dead ones may be among them. Undefined where
   * the graph cannot tell.
   *
   * @param ef candidates kept
   * @param allowed slots that may be found; all without it
   */
  search(query: Float32Array, ef: number, allowed: Bitmap | undefined): Set<number> | undefined {
    const vector = this.#comparable(query);
    if (!this.#isUsable || !isUsable(vector)) return undefined;
    const found = new Set(this.#missed);
    for (const slot of this.#walk(vector, ef, allowed)) {
      found.add(slot);
      for (const twin of this.#twins.behind(slot)) {
        if (found.size >= ef + this.#missed.size) break;
        if (allowed?.has(twin) ?? true) found.add(twin);
      }
    }
    return found;
  }

  /** The slot is never returned again. Unknown slots are ignored. */
  remove(slot: number): void {
    if (!this.#live.has(slot)) return;
    this.#live.delete(slot);
    this.#missed.delete(slot);
    const first = this.#twins.remove(slot) ?? slot;
    // A node leads to its twins for as long as it has some.
    if (this.#live.has(first) || this.#twins.behind(first).size > 0) return;
    if (this.#postponed === undefined) this.#graph.markDelete(first);
    else this.#postponed.add(first);
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

  #walk(vector: Float32Array, ef: number, allowed: Bitmap | undefined): readonly number[] {
    const count = this.#graph.getCurrentCount();
    const asked = Math.min(ef + (this.#postponed?.size ?? 0), count);
    if (asked === 0) return [];
    this.#graph.setEf(asked);
    const mayLead = (slot: number) =>
      allowed!.has(slot) || [...this.#twins.behind(slot)].some((twin) => allowed!.has(twin));
    return this.#graph.searchKnn(Array.from(vector), asked, allowed && mayLead).neighbors;
  }

  #link(slot: number): void {
    this.#live.add(slot);
    if (this.#twins.firstOf(slot) !== undefined) return;
    const vector = this.#vectorOf(slot);
    const first = this.#findOrNote(slot, vector);
    if (first === undefined) this.#addNode(slot, vector);
    else this.#hang(slot, first);
  }

  #addNode(slot: number, vector: Float32Array): void {
    const count = this.#graph.getCurrentCount();
    if (count === this.#graph.getMaxElements()) this.#graph.resizeIndex(count * 2);
    this.#graph.addPoint(Array.from(vector), slot);
  }

  #findOrNote(slot: number, vector: Float32Array): number | undefined {
    this.#isUsable &&= isUsable(vector);
    return this.#twins.findOrNote(slot, vector, (other) => this.#vectorOf(other));
  }

  #hang(slot: number, first: number): void {
    // The last of the vectors at this node may have died: it leads to one again.
    const wasDead = !this.#live.has(first) && this.#twins.behind(first).size === 0;
    this.#twins.add(slot, first);
    if (wasDead && !this.#postponed?.delete(first)) this.#graph.unmarkDelete(first);
  }

  #vectorOf(slot: number): Float32Array {
    return this.#comparable(this.#source.segments.row(slot));
  }

  /** As the graph gets it. */
  #comparable(vector: Float32Array): Float32Array {
    if (this.#metric !== "COSINE") return vector;
    const factor = 1 / Math.sqrt(squareOf(vector));
    return vector.map((component) => component * factor);
  }

  /** The nodes and twins of a loaded graph. Their slots may have died before it was saved, or since. */
  async #adopt(): Promise<void> {
    const nodes = new Set(this.#graph.getIdsList());
    for (const slot of nodes) {
      if (this.#slice.spent) await this.#slice.pause();
      this.#findOrNote(slot, this.#vectorOf(slot));
      if (this.#source.live.has(slot)) this.#live.add(slot);
    }
    // Some of them may not be in the index yet: those are added again, which changes nothing.
    for (let slot = 0; slot < this.#source.segments.length; slot++) {
      if (this.#slice.spent) await this.#slice.pause();
      if (nodes.has(slot) || !this.#source.live.has(slot)) continue;
      const first = this.#twins.findSame(this.#vectorOf(slot), (other) => this.#vectorOf(other));
      if (first === undefined || !nodes.has(first)) continue;
      this.#twins.add(slot, first);
      this.#live.add(slot);
    }
    for (const slot of nodes) if (!this.#live.has(slot)) this.#adoptDead(slot);
  }

  #adoptDead(slot: number): void {
    const isAsked = this.#twins.behind(slot).size > 0;
    try {
      if (isAsked) this.#graph.unmarkDelete(slot);
      else this.#graph.markDelete(slot);
    } catch {
      // The node was so when the graph was saved; hnswlib offers no way to ask.
    }
  }
}

function squareOf(vector: Float32Array): number {
  return vector.reduce((sum, component) => sum + component * component, 0);
}

function isUsable(vector: Float32Array): boolean {
  const square = squareOf(vector);
  return square === 0 || (square >= SQUARE_MIN && square <= SQUARE_MAX);
}
