/** The options that are fixed when a collection is created. */
import { VstoreError } from "../errors.ts";
import { limits } from "../limits.ts";

/**
 * COSINE: 1 − cos(a, b), 0 to 2. L2: Euclidean distance, not squared. IP: 1 − dot(a, b). Lower is nearer.
 */
export type Metric = "COSINE" | "L2" | "IP";

/** The first is the default. */
export const quantizations = ["INT8", "INT4", "INT2", "BIN", "F16", "F32"] as const;
export type Quantization = (typeof quantizations)[number];

/**
 * The keys of Redis that vectors of the same names follow. The engine only stores this for the bridge, which knows such
 * keys. Bytes as latin1 text.
 */
export interface Follow {
  readonly prefix: string;
  /** Set when the vectors come from hashes: the vector from one field, attributes from others. */
  readonly hash?: { readonly field: string; readonly attributes: readonly string[] };
}

/** What makes a collection a semantic cache: its keys follow the values. */
/** The attribute of an entry of a cache that has its whole scope as one text. */
export const cacheScopeAttribute = "in";

export interface CacheOptions {
  /** Fields that every entry and every question names: an entry is found by questions of the same values only. */
  readonly scope: readonly string[];
  /** The greatest distance at which an entry answers that has none of its own. */
  readonly within: number;
  /** Share of the reports about an entry that may be false; missing: none. */
  readonly errorRate?: number;
  /** How long an entry lives that does not say it, in ms; missing: for ever. */
  readonly ttlMs?: number;
  /** Whether a hit renews the time that its entry has left. */
  readonly isSliding?: boolean;
  /** Bytes that all values may have; missing: any number. */
  readonly maxBytes?: number;
}

export interface CollectionOptions {
  /** Components of every vector. */
  readonly dimensions: number;
  readonly metric: Metric;
  /** Links per node and layer of the HNSW graph (Malkov & Yashunin 2018, section 4). */
  readonly M: number;
  /**
   * Candidates kept while a vector is linked into the graph, as hnswlib does. The native index keeps three fifths of
   * them where they are many, and chooses half as many links again, which finds more at less cost.
   */
  readonly efConstruction: number;
  /** Candidates kept by a search that names no ef itself. */
  readonly ef: number;
  /**
   * How the graph of the native index keeps vectors: 8, 4, 2 or 1 bits a component, or two or four bytes. Distances are
   * exact with each. The portable one keeps float32, whatever this says.
   */
  readonly quantization: Quantization;
  readonly follow?: Follow;
  readonly cache?: CacheOptions;
  /**
   * The collections on other nodes of a cluster that have its vectors; this one has none then. The engine only stores
   * this for the bridge, which knows other nodes.
   */
  readonly shards?: readonly string[];
}

const ranges = {
  dimensions: [limits.dimensionsMin, limits.dimensionsMax],
  M: [limits.mMin, limits.mMax],
  efConstruction: [limits.efConstructionMin, limits.efConstructionMax],
  ef: [limits.efMin, limits.efMax],
} as const;

/**
 * Fills in the defaults.
 *
 * @throws {VstoreError} ERR when a value is outside its range
 */
export function resolveOptions(
  given: Pick<CollectionOptions, "dimensions"> & Partial<CollectionOptions>,
): CollectionOptions {
  const options: CollectionOptions = {
    dimensions: given.dimensions,
    metric: given.metric ?? "COSINE",
    M: given.M ?? limits.mDefault,
    efConstruction: given.efConstruction ?? limits.efConstructionDefault,
    ef: given.ef ?? limits.efDefault,
    quantization: given.quantization ?? quantizations[0],
    ...(given.follow && { follow: given.follow }),
    ...(given.cache && { cache: given.cache }),
    ...(given.shards && { shards: given.shards }),
  };
  for (const [name, [min, max]] of Object.entries(ranges)) {
    const value = options[name as keyof typeof ranges];
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new VstoreError("ERR", `'${name}' must be an integer from ${min} to ${max}, got ${value}`);
    }
  }
  if (!["COSINE", "L2", "IP"].includes(options.metric)) {
    throw new VstoreError("ERR", `'metric' must be COSINE, L2 or IP, got ${options.metric}`);
  }
  if (!quantizations.includes(options.quantization)) {
    throw new VstoreError(
      "ERR",
      `'quantization' must be one of ${quantizations.join(", ")}, got ${options.quantization}`,
    );
  }
  return options;
}
