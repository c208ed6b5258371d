/**
 * Filtered searches of GloVe words at every selectivity, whichever way what matches lies around the query, beside
 * unfiltered ones, hnswlib-node's filter callback and faiss's selector of ids. SIZE=10000 makes it small; RIVALS=no
 * leaves those out. What filters cost elsewhere is in filter-writing, filter-start and msearch.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { MmapVectorStore } from "../src/index.ts";
import { attributed, cells } from "./filter/attributes.ts";
import { measureFaiss, measureHnswlib, type RivalFigures } from "./filter/rival.ts";
import { type CellFigures, Searching } from "./filter/searching.ts";
import { type Row, report } from "./harness.ts";

const SIZE = Number(process.env.SIZE ?? 100_000);
const BATCH = 1_000;
/** recall@10, the rate beside unfiltered searches of the same recall, and p99 as a multiple of their p50. */
const BARS = { recall: 0.95, rate: 0.3, tail: 5 };

const data = attributed(SIZE);

async function fill(store: MmapVectorStore): Promise<void> {
  const { base } = data;
  for (let from = 0; from < base.rows; from += BATCH) {
    const rows = Array.from({ length: Math.min(BATCH, base.rows - from) }, (_, i) => from + i);
    const vectors = base.data.subarray(from * base.dimensions, (from + rows.length) * base.dimensions);
    await store.reserve(rows.length);
    store.insertBatch(rows.map(String), vectors, rows.map(data.attributesOf));
  }
  await store.buildIndex();
}

function rowOf(
  { cell, matches, plan, recall, short, p50Ms, p99Ms, rate, rateAtRecall, tail }: CellFigures,
  rivals: Readonly<Record<string, RivalFigures>>,
): Row {
  const missed = [
    recall < BARS.recall && "recall",
    short > 0 && "k",
    rateAtRecall < BARS.rate && "rate",
    tail > BARS.tail && "p99",
  ].filter(Boolean);
  return {
    matches: cell.kind,
    "%": cell.share * 100,
    vectors: matches,
    plan,
    "recall@10": recall.toFixed(3),
    "p50 ms": p50Ms.toFixed(3),
    "p99 ms": p99Ms.toFixed(3),
    "of unfiltered q/s": rate.toFixed(2),
    "at same recall": rateAtRecall.toFixed(2),
    "p99 / unfiltered p50": tail.toFixed(1),
    missed: missed.join(", "),
    ...Object.fromEntries(
      Object.entries(rivals).flatMap(([name, rival]) => [
        [`${name} recall@10`, rival.recall.toFixed(3)],
        [`${name} p50 ms`, rival.p50Ms.toFixed(3)],
      ]),
    ),
  };
}

/** By name, the figures of each cell; faiss only where it is installed. */
async function measureRivals(): Promise<[string, RivalFigures[]][]> {
  if (process.env.RIVALS === "no") return [];
  const hnswlib = await measureHnswlib(data, store);
  const faiss = await measureFaiss(data, store).catch((error: Error) => console.error(error.message));
  return [["hnswlib", hnswlib], ...(faiss ? [["faiss", faiss] as [string, RivalFigures[]]] : [])];
}

const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
const store = await MmapVectorStore.open(directory, { dimensions: data.base.dimensions });
try {
  await fill(store);
  const figures = await new Searching(store, data).all();
  const rivals = await measureRivals();
  const rivalsAt = (at: number) => Object.fromEntries(rivals.map(([name, figures]) => [name, figures[at]!]));
  report({
    workload: "filter",
    aim: `${SIZE} x ${data.base.dimensions}: recall@10 of ${BARS.recall}, ${BARS.rate} of the unfiltered rate at the same recall, p99 of ${BARS.tail} unfiltered p50, k results, in each of ${cells.length} cells`,
    rows: figures.map((each, at) => rowOf(each, rivalsAt(at))),
  });
} finally {
  await store.close();
  fs.rmSync(directory, { recursive: true });
}
