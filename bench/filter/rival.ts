/** hnswlib-node with its filter callback, on the same cells: recall, results and time of a search. */
import { createRequire } from "node:module";
import { expressionOf } from "../../src/engine/filter/expressions.ts";
import type { MmapVectorStore } from "../../src/index.ts";
import { percentile } from "../harness.ts";
import { row } from "../search/matrix.ts";
import { EF_CONSTRUCTION, M } from "../search/settings.ts";
import { type Attributed, type Cell, cells } from "./attributes.ts";
import { EF, K } from "./searching.ts";

const { HierarchicalNSW } = createRequire(import.meta.url)("hnswlib-node") as typeof import("hnswlib-node");

export interface RivalFigures {
  readonly recall: number;
  readonly p50Ms: number;
}

/** For each cell. `store` says what is right. */
export async function measureRival(data: Attributed, store: MmapVectorStore): Promise<RivalFigures[]> {
  const { base } = data;
  const graph = new HierarchicalNSW("cosine", base.dimensions);
  graph.initIndex(base.rows, M, EF_CONSTRUCTION);
  for (let i = 0; i < base.rows; i++) graph.addPoint(Array.from(row(base, i)), i);
  graph.setEf(EF);
  const parsed = Array.from({ length: base.rows }, (_, i) => JSON.parse(data.attributesOf(i)) as object);
  const matchesOf = (filter: string) => {
    const expression = expressionOf(filter);
    return Uint8Array.from(parsed, (attributes) => Number(expression.matches(attributes)));
  };
  const figures: RivalFigures[] = [];
  for (const cell of cells) figures.push(await measureCell(cell, data, store, graph, matchesOf));
  return figures;
}

async function measureCell(
  cell: Cell,
  { questions }: Attributed,
  store: MmapVectorStore,
  graph: InstanceType<typeof HierarchicalNSW>,
  matchesOf: (filter: string) => Uint8Array,
): Promise<RivalFigures> {
  const sets = new Map<string, Uint8Array>();
  const times: number[] = [];
  let [hits, wanted] = [0, 0];
  for (const { anchor, query } of questions) {
    const filter = cell.filterOf(anchor);
    const matches = sets.get(filter) ?? matchesOf(filter);
    sets.set(filter, matches);
    const exact = await store.search(query, { k: K, filter, exact: true });
    const asked = Array.from(query);
    const start = performance.now();
    const { neighbors } = graph.searchKnn(asked, K, (label) => matches[label] === 1);
    times.push(performance.now() - start);
    const right = new Set(exact.map(({ key }) => Number(key)));
    hits += neighbors.filter((neighbour) => right.has(neighbour)).length;
    wanted += exact.length;
  }
  return { recall: wanted === 0 ? 1 : hits / wanted, p50Ms: percentile(times, 50) };
}
