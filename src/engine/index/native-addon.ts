/**
 * The native graph: HNSW over codes of 1 to 32 bits a component on all cores, with exact distances from the mapped
 * rows. The only file that uses the graph of the addon. It checks all arguments, because the addon trusts them.
 *
 * A search answers as of the moment it was called. The calling thread takes part in
 * short searches for about a millisecond; all else happens on other threads, and the methods return at once.
 */
import * as workerThreads from "node:worker_threads";
import { limits } from "../../limits.ts";
import { findAddon, notBuilt } from "../addon.ts";
import type { Metric, Quantization } from "../options.ts";

export interface GraphOptions {
  readonly dimensions: number;
  readonly metric: Metric;
  /** Links per node and layer; twice as many on the lowest. */
  readonly M: number;
  readonly efConstruction: number;
  readonly quantization: Quantization;
}

export interface GraphSearchOptions {
  /** Results wanted of each query. */
  readonly k: number;
  /** Candidates that the graph keeps; at least k are. */
  readonly ef: number;
  /** Look at every row instead of asking the graph. */
  readonly exact?: boolean;
  /** Largest distance of a result. */
  readonly within?: number;
  /** Slots that exist; later ones are not looked at. */
  readonly slots: number;
  /** Slots below it are in the graph or dead; the rest is scanned. */
  readonly watermark: number;
  /** Rows may have to be read from the disk: the calling thread then takes no part. */
  readonly coldRows?: boolean;
  /** The calling thread may take part for a millisecond, which is faster for few queries; it does without it. */
  readonly together?: boolean;
  /** One bit for each slot that may be found, lowest bit first; slots beyond its end may not. */
  readonly allowed?: Uint8Array | undefined;
}

/** Of n queries: query i has counts[i] results from i * k on, nearest first. */
export interface GraphSearchResults {
  /** Shape (n). */
  readonly counts: Uint32Array;
  /** Shape (n x k). */
  readonly slots: Uint32Array;
  /** Shape (n x k). */
  readonly distances: Float64Array;
}

/** Counters since the graph was made or loaded. */
export interface GraphHealth {
  /** Nodes that no walk reached when they were looked for. */
  readonly missed: number;
  /** Those of them that were linked anew. */
  readonly relinked: number;
  /** Whether a centre is subtracted from vectors before they become codes. */
  readonly centred: boolean;
}

/** The addon reads every member by its name: none may be missing, but `allowed` may be undefined. */
type AddonSearchOptions = Required<Omit<GraphSearchOptions, "allowed">> & {
  readonly allowed: Uint8Array | undefined;
};

interface AddonGraphOptions extends Omit<GraphOptions, "metric" | "quantization"> {
  readonly metric: number;
  readonly quantization: number;
}

interface AddonGraph {
  addSegment(rows: Float32Array, isRandom: boolean): void;
  setLive(slot: number): void;
  setRangeLive(from: number, to: number): void;
  kill(slot: number): void;
  add(from: number, to: number): Promise<void>;
  mend(from: number, to: number): Promise<void>;
  health(): GraphHealth;
  search(queries: Float32Array, options: AddonSearchOptions): Promise<GraphSearchResults>;
  /** The number of a plan, see PLANS. */
  planOf(matches: number, ef: number): number;
  save(path: string, maps: boolean): Promise<void>;
  load(path: string): Promise<void>;
  unproven(): number;
  prove(from: number, to: number, keepsMapped: boolean): Promise<void>;
  mapped(): { bytes: number; resident: number };
  length(): number;
  live(): number;
  bytes(): number;
  close(): void;
}

interface Addon {
  Graph: new (options: AddonGraphOptions) => AddonGraph;
  /** Those this CPU can run; the first is plain C++, the last is used. */
  kernelNames(): string[];
  /** Threads of the process that search and that build, 0 for one per core. @throws {Error} once they run */
  resizePool(searching: number, building: number): void;
  /** All results of the set of kernels of that index, for components from -1 to 1. */
  runKernels(index: number, a: Float32Array, b: Float32Array): Float64Array;
}

/** Chunks of 16,384 nodes that are read by one call. */
const PROVEN_AT_ONCE = 4;

/** As native/codes/codes.h numbers them. */
const METRIC = { COSINE: 1, L2: 2, IP: 3 } as const satisfies Record<Metric, number>;
const QUANTIZATION = { INT8: 1, F16: 2, F32: 3, INT4: 4, INT2: 5, BIN: 6 } as const satisfies Record<
  Quantization,
  number
>;

/** As native/graph/filtered.h numbers them. */
const PLANS = ["compare", "hop", "walk"] as const;

/** @throws {VstoreError} ERR when it is not built */
export function loadAddon(): Addon {
  const addon = findAddon<Addon>();
  if (addon === undefined) throw notBuilt("the native index");
  return addon;
}

export class NativeGraph {
  readonly options: GraphOptions;
  readonly #graph: AddonGraph;
  /** Slots that have a row. */
  #rows = 0;
  #saving = 0;
  #adding = false;
  #closed = false;
  /** Nothing of it is from a file, or all of that was read and is whole. */
  #isProven = true;

  /** @throws {TypeError | RangeError} that name the argument */
  constructor(options: GraphOptions) {
    checkOptions(options);
    this.options = options;
    const { dimensions, metric, M, efConstruction, quantization } = options;
    this.#graph = new (loadAddon().Graph)({
      dimensions,
      metric: METRIC[metric],
      quantization: QUANTIZATION[quantization],
      M,
      efConstruction,
    });
  }

  /**
   * The graph that `save` wrote. No slot is alive in it before `setLive`. Most of it is mapped and not read yet: it can
   * be searched, but nothing added or saved before `prove`.
   *
   * @throws {Error} when the file cannot be read, is of other options, or what was read is damaged
   */
  static async load(path: string, options: GraphOptions): Promise<NativeGraph> {
    checkPath(path);
    const graph = new NativeGraph(options);
    await graph.#graph.load(path);
    graph.#isProven = graph.#graph.unproven() === 0;
    return graph;
  }

  /** Nodes, dead ones included. */
  get length(): number {
    return this.#open.length();
  }

  /** Nodes that a search may find. */
  get live(): number {
    return this.#open.live();
  }

  get health(): GraphHealth {
    return this.#open.health();
  }

  /** Bytes of memory, that of the rows and of mapped files not included. */
  get bytes(): number {
    return this.#open.bytes();
  }

  /** Bytes that are mapped from a saved graph, and about how many of them are in memory. */
  get mapped(): { readonly bytes: number; readonly resident: number } {
    return this.#open.mapped();
  }

  /**
   * Reads all that `load` has mapped, in the background.
   *
   * @param keepsMapped leaves it in the file, whose pages the system may take back; else it gets memory of its own
   * @returns false where `isStopped` ended it
   * @throws {Error} when it is damaged: the graph must not be used any more
   */
  async prove(keepsMapped: boolean, isStopped: () => boolean = () => false): Promise<boolean> {
    const count = this.#open.unproven();
    for (let from = 0; from < count; from += PROVEN_AT_ONCE) {
      if (isStopped() || this.#closed) return false;
      await this.#open.prove(from, Math.min(from + PROVEN_AT_ONCE, count), keepsMapped);
    }
    this.#isProven = true;
    return true;
  }

  /**
   * The rows of the slots from `firstSlot` on, which follows the last segment's. They are not copied: their memory
   * must not be transferred or shrink. A row may be written until its slot becomes alive.
   *
   * @param rows shape (any x dimensions)
   * @param isRandom has the system read rows of a mapped file one by one, where memory is short
   */
  addSegment(firstSlot: number, rows: Float32Array, isRandom = false): void {
    const graph = this.#open;
    checkVectors("rows", rows, this.options.dimensions);
    if (!(rows.buffer instanceof ArrayBuffer) || ("resizable" in rows.buffer && rows.buffer.resizable)) {
      throw new TypeError("'rows' must be on an ArrayBuffer of fixed length");
    }
    if (firstSlot !== this.#rows) throw new RangeError(`'firstSlot' must be ${this.#rows}, got ${firstSlot}`);
    keepInPlace(rows.buffer);
    graph.addSegment(rows, isRandom);
    this.#rows += rows.length / this.options.dimensions;
  }

  /** Searches that begin from now on see the slot. */
  setLive(slot: number): void {
    checkInteger("slot", slot, 0, limits.slotsMax - 1);
    this.#open.setLive(slot);
  }

  /** The same for the slots of [from, to): a call for each costs as much as to copy its vector. */
  setRangeLive(from: number, to: number): void {
    checkInteger("to", to, 0, limits.slotsMax);
    checkInteger("from", from, 0, to);
    this.#open.setRangeLive(from, to);
  }

  /** Searches that begin from now on do not see the slot. Unknown slots are ignored. */
  kill(slot: number): void {
    checkInteger("slot", slot, 0, limits.slotsMax - 1);
    this.#open.kill(slot);
  }

  /** Links the slots of [from, to) that are alive and not linked, on all threads. */
  async add(from: number, to: number): Promise<void> {
    await this.#change(from, to, (graph) => graph.add(from, to));
  }

  /** Looks for the nodes of [from, to) as searches would, and links anew those that no walk reaches. */
  async mend(from: number, to: number): Promise<void> {
    await this.#change(from, to, (graph) => graph.mend(from, to));
  }

  async #change(from: number, to: number, change: (graph: AddonGraph) => Promise<void>): Promise<void> {
    const graph = this.#open;
    checkInteger("to", to, 0, this.#rows);
    checkInteger("from", from, 0, to);
    if (!this.#isProven) throw new Error("the graph has not been proven");
    if (this.#adding || this.#saving > 0) throw new Error("the graph is being added to or saved");
    this.#adding = true;
    try {
      await change(graph);
    } finally {
      this.#adding = false;
    }
  }

  /**
   * The nearest vectors of each query: k of them whenever k exist.
   *
   * @param queries shape (n x dimensions), finite, and not zero under COSINE
   */
  async search(queries: Float32Array, options: GraphSearchOptions): Promise<GraphSearchResults> {
    const graph = this.#open;
    checkVectors("queries", queries, this.options.dimensions);
    return graph.search(queries, checkedSearch(options, this.#rows));
  }

  /** How a search looks for the nearest `ef` among so many allowed slots. */
  planOf(matches: number, ef: number): (typeof PLANS)[number] {
    checkInteger("matches", matches, 0, limits.slotsMax);
    checkInteger("ef", ef, limits.efMin, limits.efMax);
    return PLANS[this.#open.planOf(matches, ef)]!;
  }

  /**
   * Writes the graph to a file. Nothing can be added meanwhile; all else goes on. A failure leaves its file behind.
   *
   * @param maps has the graph in the file from then on, whose pages the system may take back
   */
  async save(path: string, maps = false): Promise<void> {
    const graph = this.#open;
    checkPath(path);
    if (!this.#isProven) throw new Error("the graph has not been proven");
    if (this.#adding) throw new Error("the graph is being added to");
    this.#saving++;
    try {
      await graph.save(path, maps);
    } finally {
      this.#saving--;
    }
  }

  /** Cuts work under way short (its promises reject), and gives back the memory. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#graph.close();
  }

  get #open(): AddonGraph {
    if (this.#closed) throw new Error("the graph was closed");
    return this.#graph;
  }
}

/**
 * Node 22 marks mapped memory by itself. Marked again, Node 24 could not take it back at the end of a worker, and would
 * abort the process.
 */
function keepInPlace(buffer: ArrayBuffer): void {
  const { isMarkedAsUntransferable } = workerThreads as { isMarkedAsUntransferable?: (o: object) => boolean };
  if (isMarkedAsUntransferable?.(buffer) !== true) workerThreads.markAsUntransferable(buffer);
}

function checkOptions({ dimensions, metric, M, efConstruction, quantization }: GraphOptions): void {
  checkInteger("dimensions", dimensions, limits.dimensionsMin, limits.dimensionsMax);
  checkInteger("M", M, limits.mMin, limits.mMax);
  checkInteger("efConstruction", efConstruction, limits.efConstructionMin, limits.efConstructionMax);
  checkName("metric", metric, METRIC);
  checkName("quantization", quantization, QUANTIZATION);
}

/** With its defaults filled in. */
function checkedSearch(given: GraphSearchOptions, rows: number): AddonSearchOptions {
  const { exact = false, within = Number.POSITIVE_INFINITY, together = true, allowed } = given;
  const { k, ef, slots, watermark, coldRows = false } = given;
  checkInteger("k", k, limits.countMin, limits.countMax);
  checkInteger("ef", ef, limits.efMin, limits.efMax);
  checkInteger("slots", slots, 0, rows);
  checkInteger("watermark", watermark, 0, slots);
  if (typeof exact !== "boolean") throw new TypeError("'exact' must be a boolean");
  if (typeof coldRows !== "boolean") throw new TypeError("'coldRows' must be a boolean");
  if (typeof together !== "boolean") throw new TypeError("'together' must be a boolean");
  if (typeof within !== "number" || Number.isNaN(within)) throw new TypeError("'within' must be a number");
  if (allowed !== undefined && !(allowed instanceof Uint8Array)) {
    throw new TypeError("'allowed' must be a Uint8Array");
  }
  return { k, ef, exact, within, slots, watermark, coldRows, together, allowed };
}

function checkName(argument: string, name: unknown, known: object): void {
  if (typeof name !== "string") throw new TypeError(`'${argument}' must be a string`);
  if (!Object.hasOwn(known, name)) {
    throw new RangeError(`'${argument}' must be one of ${Object.keys(known).join(", ")}, got ${name}`);
  }
}

function checkInteger(argument: string, value: unknown, min: number, max: number): void {
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw new TypeError(`'${argument}' must be an integer, got ${String(value)}`);
  }
  if (value < min || value > max) {
    throw new RangeError(`'${argument}' must be from ${min} to ${max}, got ${value}`);
  }
}

function checkVectors(argument: string, vectors: unknown, dimensions: number): void {
  if (!(vectors instanceof Float32Array)) throw new TypeError(`'${argument}' must be a Float32Array`);
  if (vectors.length === 0 || vectors.length % dimensions !== 0) {
    throw new RangeError(
      `'${argument}' must hold vectors of ${dimensions} components, got ${vectors.length}`,
    );
  }
}

function checkPath(path: unknown): void {
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new TypeError("'path' must be the name of a file");
  }
}
