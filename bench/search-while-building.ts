/**
 * Searches, one at a time, while the store is otherwise idle, and while vectors are inserted as fast as the index takes
 * them: what building costs searches. The tail that they scan meanwhile is kept short, so that the scan is not what is
 * measured.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { Collection } from "../src/engine/collection.ts";
import { createFiles } from "../src/engine/generation/recovery.ts";
import { FIRST_ID } from "../src/engine/log-id.ts";
import { resolveOptions } from "../src/engine/options.ts";
import { median, percentile, type Row, report } from "./harness.ts";
import { clustered } from "./search/clustered.ts";
import { type Matrix, row, slice } from "./search/matrix.ts";

const DIMENSIONS = 128;
const INDEXED = 100_000;
const INSERTED = 50_000;
const QUERIES = 1_000;
const IDLE_SEARCHES = 10_000;
/** Vectors of one insertion, and the tail below which the next one comes. */
const BATCH = 100;
const TAIL_MAX = 2_000;
const SEED = 1;

async function insert(collection: Collection, vectors: Matrix, from: number, to: number): Promise<void> {
  await collection.reserve(to - from);
  const keys = Array.from({ length: to - from }, (_, i) => Buffer.from(`key:${from + i}`));
  collection.insertBatch(keys, slice(vectors, from, to).data);
}

/** Microseconds of each search until `isOver`. */
async function search(collection: Collection, queries: Matrix, isOver: (searches: number) => boolean) {
  const times: number[] = [];
  while (!isOver(times.length)) {
    const start = performance.now();
    await collection.search(row(queries, times.length % queries.rows), { k: 10 });
    times.push((performance.now() - start) * 1000);
  }
  return times;
}

async function whileBuilding(collection: Collection, base: Matrix, queries: Matrix): Promise<number[]> {
  let inserted = INDEXED;
  const writing = (async () => {
    for (; inserted < base.rows; inserted += BATCH) {
      await insert(collection, base, inserted, inserted + BATCH);
      while (collection.tailLength > TAIL_MAX) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  const times = await search(collection, queries, () => inserted >= base.rows);
  await writing;
  return times;
}

const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
try {
  const options = resolveOptions({ dimensions: DIMENSIONS, metric: "L2" });
  await createFiles(directory, "bench", options, FIRST_ID);
  const collection = await Collection.open(directory, console.warn, "native");
  const vectors = clustered(INDEXED + INSERTED + QUERIES, DIMENSIONS, SEED);
  const base = slice(vectors, 0, INDEXED + INSERTED);
  const queries = slice(vectors, base.rows, vectors.rows);
  await insert(collection, base, 0, INDEXED);
  await collection.build();
  const idle = await search(collection, queries, (searches) => searches === IDLE_SEARCHES);
  const begin = performance.now();
  const building = await whileBuilding(collection, base, queries);
  const perSecond = (INSERTED / (performance.now() - begin)) * 1000;
  await collection.abandon();
  const rows = Object.entries({ idle, building }).map(
    ([what, times]): Row => ({
      what,
      "p50 us": Math.round(median(times)),
      "p99 us": Math.round(percentile(times, 99)),
      "p99 of idle's": (percentile(times, 99) / percentile(idle, 99)).toFixed(2),
      "inserted/s": what === "idle" ? 0 : Math.round(perSecond),
    }),
  );
  report({ workload: "search-while-building", aim: "p99 while building at most 3 times that of idle", rows });
} finally {
  fs.rmSync(directory, { recursive: true });
}
