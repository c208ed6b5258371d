/**
 * Filtered searches beside unfiltered ones, one query at a time, in turn: what slows the machine down for a while slows
 * both. A rate is compared at the same recall: the time of an unfiltered search at the default EF, times what the EF of
 * that recall takes longer or shorter.
 */
import type { MmapVectorStore, SearchResult } from "../../src/index.ts";
import { percentile } from "../harness.ts";
import { type Attributed, type Cell, cells, type Question } from "./attributes.ts";

export const K = 10;
export const EF = 100;
const EFS = [24, 48, 64, 100, 160, 256, 512, 1_024] as const;
/** Each query is asked so often; its least time counts, as the machine is shared. */
const ROUNDS = 3;

/** Of unfiltered searches. */
interface Point {
  readonly recall: number;
  /** How much longer than at the default EF. */
  readonly factor: number;
}

export interface CellFigures {
  readonly cell: Cell;
  readonly matches: number;
  readonly plan: string;
  readonly recall: number;
  /** Queries with fewer than K results though more match. */
  readonly short: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Rate beside that of unfiltered searches, at the default EF and at the same recall. */
  readonly rate: number;
  readonly rateAtRecall: number;
  /** p99 as a multiple of the unfiltered p50. */
  readonly tail: number;
}

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const start = performance.now();
  const value = await work();
  return { ms: performance.now() - start, value };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Equal distances count as found. */
function hitsOf(found: readonly SearchResult[], exact: readonly SearchResult[]): number {
  const limit = exact.at(-1)?.distance ?? 0;
  return found.filter(({ distance }) => distance <= limit).length;
}

async function recallAndMs(
  store: MmapVectorStore,
  questions: readonly Question[],
  exact: readonly SearchResult[][],
  ef: number,
): Promise<{ recall: number; ms: number }> {
  let hits = 0;
  const times: number[] = [];
  for (const [i, { query }] of questions.entries()) {
    const runs = [];
    for (let round = 0; round < ROUNDS; round++)
      runs.push(await timed(() => store.search(query, { k: K, ef })));
    times.push(Math.min(...runs.map(({ ms }) => ms)));
    hits += hitsOf(runs[0]!.value, exact[i]!);
  }
  return { recall: hits / (K * questions.length), ms: mean(times) };
}

export class Searching {
  readonly #store: MmapVectorStore;
  readonly #questions: readonly Question[];
  #curve: Point[] = [];

  constructor(store: MmapVectorStore, { questions }: Attributed) {
    this.#store = store;
    this.#questions = questions;
  }

  async all(): Promise<CellFigures[]> {
    await this.#measureCurve();
    const figures: CellFigures[] = [];
    for (const cell of cells) figures.push(await this.#measure(cell));
    return figures;
  }

  async #measureCurve(): Promise<void> {
    const exact: SearchResult[][] = [];
    for (const { query } of this.#questions)
      exact.push(await this.#store.search(query, { k: K, exact: true }));
    const measured: { recall: number; ms: number }[] = [];
    for (const ef of EFS) measured.push(await recallAndMs(this.#store, this.#questions, exact, ef));
    const usual = measured[EFS.indexOf(EF)]!.ms;
    this.#curve = measured.map(({ recall, ms }) => ({ recall, factor: ms / usual }));
  }

  /** How much longer an unfiltered search of that recall takes; that of the last point where none reaches it. */
  #factorAt(recall: number): number {
    return (this.#curve.find((point) => point.recall >= recall) ?? this.#curve.at(-1)!).factor;
  }

  async #measure(cell: Cell): Promise<CellFigures> {
    const filtered: number[] = [];
    const unfiltered: number[] = [];
    let [hits, wanted, short, matches] = [0, 0, 0, 0];
    for (const { anchor, query } of this.#questions) {
      const filter = cell.filterOf(anchor);
      const exact = await this.#store.search(query, { k: K, filter, exact: true });
      let found: SearchResult[] = [];
      const times: number[] = [];
      const others: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        others.push((await timed(() => this.#store.search(query, { k: K }))).ms);
        const { ms, value } = await timed(() => this.#store.search(query, { k: K, filter }));
        times.push(ms);
        found = value;
      }
      filtered.push(Math.min(...times));
      unfiltered.push(Math.min(...others));
      hits += hitsOf(found, exact);
      wanted += exact.length;
      short += Number(found.length < exact.length);
      matches = Math.max(matches, exact.length);
    }
    const recall = wanted === 0 ? 1 : hits / wanted;
    const explained = await this.#store.explain(cell.filterOf(0), { k: K });
    const p99Ms = percentile(filtered, 99);
    const rate = mean(unfiltered) / mean(filtered);
    return {
      cell,
      matches: Number(explained.matches),
      plan: String(explained.plan),
      recall,
      short,
      p50Ms: percentile(filtered, 50),
      p99Ms,
      rate,
      rateAtRecall: rate * this.#factorAt(recall),
      tail: p99Ms / percentile(unfiltered, 50),
    };
  }
}
