/**
 * What a run measures. The graph's settings are the same for every engine and fixed; sizes and names come from the
 * environment, so that a small run is possible anywhere: SIZE=10000 SETS=glove-100 ENGINES=vstore-int8,usearch-f32.
 */

/** Results of one query. */
export const K = 10;
/** Links per node and layer. */
export const M = 16;
/** Candidates kept while a vector is linked into the graph. */
export const EF_CONSTRUCTION = 200;
/** Candidates kept by a search: the points of each curve. */
export const EFS = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024] as const;
/** The point of the curve at which RAM and readiness are measured; they hardly depend on it. */
export const EF_TYPICAL = 128;
/** Held out of every set. */
export const QUERIES_MAX = 1_000;
/** Connections of a client process to a server. */
export const CLIENTS = 8;
/** The recall at which engines are compared. */
export const RECALL_COMPARED = 0.95;
/** Before the first point, so that no engine pays for compilation and caches in it; cold figures are taken apart. */
export const WARM_UP_SECONDS_MIN = 3;
/** A measurement repeats its queries at least this long. */
export const MEASURE_SECONDS_MIN = 0.5;

export interface Settings {
  /** Vectors of every set, the queries not counted. */
  readonly size: number;
  readonly sets: readonly string[];
  readonly engines: readonly string[];
  /**
   * Of the files below bench/results and the directory below docs/pictures: what is run apart, for want of time, is
   * kept apart.
   */
  readonly name: string;
  /** The engines are measured in turn, so many times; medians count. */
  readonly rounds: number;
}

/** @throws when a value is not a positive integer, or a name is unknown */
export function readSettings(sets: readonly string[], engines: readonly string[]): Settings {
  return {
    size: positive("SIZE", 100_000),
    sets: names("SETS", sets),
    engines: names("ENGINES", engines),
    name: process.env.NAME ?? "search",
    rounds: positive("ROUNDS", 3),
  };
}

export const queriesOf = (size: number): number => Math.min(QUERIES_MAX, Math.ceil(size / 10));

function positive(variable: string, fallback: number): number {
  const value = Number(process.env[variable] ?? fallback);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`${variable} must be a positive integer`);
}

function names(variable: string, known: readonly string[]): readonly string[] {
  const wanted = process.env[variable]?.split(",") ?? known;
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length === 0) return wanted;
  throw new Error(`${variable}: no ${unknown.join(", ")}; there are ${known.join(", ")}`);
}
