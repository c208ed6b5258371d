/**
 * The interface of an engine under test. Each adapter in engines/ uses its engine as a user would. Everything that is
 * measured beside it (recall, RAM, the page cache, one core or all) is the same for all of them.
 */
import type { Dataset } from "./datasets.ts";
import { type Matrix, row } from "./matrix.ts";
import { K } from "./settings.ts";

/** The neighbour of a query that got fewer than K. */
export const NONE = 0xffff_ffff;

/** All queries, answered once. */
export interface Pass {
  /** Rows of the base vectors, shape (queries x K). */
  readonly found: Uint32Array;
  readonly seconds: number;
  /** Of each query, where they were asked one at a time. */
  readonly latenciesMs: readonly number[];
}

export interface Engine {
  /** Builds an index of the rows in memory, or in the server. */
  build(base: Matrix): Promise<void>;
  /** Makes what was built loadable from the directory. */
  save(): Promise<void>;
  /** Makes what was saved ready to be searched. */
  load(): Promise<void>;
  /** For the searches from now on. */
  setEf(ef: number): Promise<void> | void;
  /** One query at a time. */
  each(queries: Matrix): Promise<Pass>;
  /** As many queries at once as the engine takes. */
  flood(queries: Matrix): Promise<Pass>;
  /** Processes whose memory is the engine's. */
  processes(): readonly number[];
  /** The shortest way to the engine and back, where there is one, by one of CLIENTS connections. */
  ping?(lane: number): Promise<unknown>;
  close(): Promise<void>;
}

export interface Place {
  readonly set: Dataset;
  /** Empty before `build`, and the engine's own. */
  readonly directory: string;
}

export interface EngineKind {
  readonly name: string;
  /** What was chosen, beyond M, efConstruction and ef. */
  readonly settings: string;
  /** in-process: may be confined to one core and measured so. one-thread: cannot use more. server: not confined. */
  readonly cores: "in-process" | "one-thread" | "server";
  /** @throws when the engine is not installed here, or does not run */
  open(place: Place): Promise<Engine>;
}

type Search = (query: Float32Array) => Promise<ArrayLike<number>> | ArrayLike<number>;

/** One query after the other, each one timed. */
export async function oneByOne(queries: Matrix, search: Search): Promise<Pass> {
  const found = emptyAnswers(queries);
  const latenciesMs: number[] = [];
  const start = performance.now();
  for (let i = 0; i < queries.rows; i++) {
    const asked = performance.now();
    found.set(await search(row(queries, i)), i * K);
    latenciesMs.push(performance.now() - asked);
  }
  return { found, seconds: secondsSince(start), latenciesMs };
}

/** `lanes` queries under way at any time. */
export async function abreast(
  queries: Matrix,
  lanes: number,
  search: (query: Float32Array, lane: number) => Promise<ArrayLike<number>>,
): Promise<Pass> {
  const found = emptyAnswers(queries);
  let next = 0;
  const work = async (lane: number) => {
    for (let i = next++; i < queries.rows; i = next++) found.set(await search(row(queries, i), lane), i * K);
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: lanes }, (_, lane) => work(lane)));
  return { found, seconds: secondsSince(start), latenciesMs: [] };
}

export const secondsSince = (start: number): number => (performance.now() - start) / 1000;

export function emptyAnswers(queries: Matrix): Uint32Array {
  return new Uint32Array(queries.rows * K).fill(NONE);
}
