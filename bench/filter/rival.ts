/**
 * The same cells by engines that take a filter of their own: hnswlib-node, whose callback is asked of each label, and
 * faiss, whose selector is a bitmap of ids (Debian's python3-faiss). usearch's npm package has no filtered search.
 */
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import { expressionOf } from "../../src/engine/filter/expressions.ts";
import type { MmapVectorStore } from "../../src/index.ts";
import { percentile } from "../harness.ts";
import { dataset } from "../search/datasets.ts";
import { FaissEngine } from "../search/engines/faiss.ts";
import { type Matrix, row } from "../search/matrix.ts";
import { EF_CONSTRUCTION, M } from "../search/settings.ts";
import { type Attributed, type Cell, cells } from "./attributes.ts";
import { EF, K } from "./searching.ts";

const { HierarchicalNSW } = createRequire(import.meta.url)("hnswlib-node") as typeof import("hnswlib-node");

export interface RivalFigures {
  readonly recall: number;
  readonly p50Ms: number;
}

/** What an engine found of each question, and in what time. */
interface Found {
  readonly rows: readonly ArrayLike<number>[];
  readonly ms: readonly number[];
}

/** @param matchesOf a byte for each row: whether the filter is true of it */
type Searches = (cell: Cell, matchesOf: (filter: string) => Uint8Array) => Promise<Found> | Found;

/** Of each cell. `store` says what is right. */
async function figuresOf(
  data: Attributed,
  store: MmapVectorStore,
  searches: Searches,
): Promise<RivalFigures[]> {
  const parsed = Array.from({ length: data.base.rows }, (_, i) => JSON.parse(data.attributesOf(i)) as object);
  const matchesOf = (filter: string) => {
    const expression = expressionOf(filter);
    return Uint8Array.from(parsed, (attributes) => Number(expression.matches(attributes)));
  };
  const figures: RivalFigures[] = [];
  for (const cell of cells) {
    const { rows, ms } = await searches(cell, remembering(matchesOf));
    let [hits, wanted] = [0, 0];
    for (const [i, { anchor, query }] of data.questions.entries()) {
      const exact = await store.search(query, { k: K, filter: cell.filterOf(anchor), exact: true });
      const right = new Set(exact.map(({ key }) => Number(key)));
      hits += Array.from(rows[i]!).filter((each) => right.has(each)).length;
      wanted += exact.length;
    }
    figures.push({ recall: wanted === 0 ? 1 : hits / wanted, p50Ms: percentile([...ms], 50) });
  }
  return figures;
}

function remembering(matchesOf: (filter: string) => Uint8Array): (filter: string) => Uint8Array {
  const known = new Map<string, Uint8Array>();
  return (filter) => {
    const matches = known.get(filter) ?? matchesOf(filter);
    known.set(filter, matches);
    return matches;
  };
}

export function measureHnswlib(data: Attributed, store: MmapVectorStore): Promise<RivalFigures[]> {
  const { base, questions } = data;
  const graph = new HierarchicalNSW("cosine", base.dimensions);
  graph.initIndex(base.rows, M, EF_CONSTRUCTION);
  for (let i = 0; i < base.rows; i++) graph.addPoint(Array.from(row(base, i)), i);
  graph.setEf(EF);
  return figuresOf(data, store, (cell, matchesOf) => {
    const [rows, ms]: [number[][], number[]] = [[], []];
    for (const { anchor, query } of questions) {
      const matches = matchesOf(cell.filterOf(anchor));
      const asked = Array.from(query);
      const start = performance.now();
      rows.push(graph.searchKnn(asked, K, (label) => matches[label] === 1).neighbors);
      ms.push(performance.now() - start);
    }
    return { rows, ms };
  });
}

/** @throws when python3-faiss is not installed */
export async function measureFaiss(data: Attributed, store: MmapVectorStore): Promise<RivalFigures[]> {
  const { base, questions } = data;
  const queries: Matrix = { rows: questions.length, dimensions: base.dimensions, data: joined(questions) };
  const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-faiss-`);
  const engine = new FaissEngine({ set: dataset("glove-100"), directory }, "f32");
  try {
    await engine.start();
    await engine.build(base);
    await engine.setEf(EF);
    return await figuresOf(data, store, async (cell, matchesOf) => {
      const filters = questions.map(({ anchor }) => cell.filterOf(anchor));
      const distinct = [...new Set(filters)];
      const bitmaps = distinct.map((filter) => bitmapOf(matchesOf(filter)));
      const which = filters.map((filter) => distinct.indexOf(filter));
      const { found, latenciesMs } = await engine.filtered(queries, bitmaps, which);
      return { rows: questions.map((_, i) => found.subarray(i * K, (i + 1) * K)), ms: latenciesMs };
    });
  } finally {
    await engine.close();
    fs.rmSync(directory, { recursive: true });
  }
}

function joined(questions: Attributed["questions"]): Float32Array {
  const { length } = questions[0]!.query;
  const all = new Float32Array(questions.length * length);
  for (const [i, { query }] of questions.entries()) all.set(query, i * length);
  return all;
}

/** Lowest bit first. */
function bitmapOf(matches: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(matches.length / 8));
  for (const [i, matching] of matches.entries()) bits[i >> 3]! |= matching << (i & 7);
  return bits;
}
