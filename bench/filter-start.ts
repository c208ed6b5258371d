/**
 * The first filtered answer after a start: SIZE (300,000) vectors of 100 dimensions with five attributes each are
 * opened with their saved columns and without. Nothing is built into the index, which start-up measures.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { generator, randomVector } from "../harness/random.ts";
import { MmapVectorStore } from "../src/index.ts";
import { type Row, report } from "./harness.ts";

const SIZE = Number(process.env.SIZE ?? 300_000);
const DIMENSIONS = 100;
const BATCH = 1_000;
const FILTER = ".year < 1960 and .stocked";
/** The index is not what is measured, and grows in the background all the same. */
const OPTIONS = { dimensions: DIMENSIONS, metric: "L2", M: 4, efConstruction: 8 } as const;

const random = generator(1);
const query = randomVector(random, DIMENSIONS);

function attributes(): string {
  return JSON.stringify({
    price: random() * 1_000,
    year: 1950 + Math.floor(random() * 76),
    city: `city ${Math.floor(random() * 1_000)}`,
    brand: `brand ${Math.floor(random() * 1_000)}`,
    stocked: random() < 0.5,
  });
}

async function prepare(directory: string): Promise<void> {
  const store = await MmapVectorStore.open(directory, OPTIONS);
  for (let from = 0; from < SIZE; from += BATCH) {
    const keys = Array.from({ length: BATCH }, (_, i) => `key ${from + i}`);
    await store.reserve(BATCH);
    store.insertBatch(keys, randomVector(random, BATCH * DIMENSIONS), keys.map(attributes));
  }
  await store.count(FILTER);
  await store.close();
}

async function measure(prepared: string, state: "present" | "absent", secondsMax: number): Promise<Row> {
  const directory = `${prepared}-${state}`;
  fs.cpSync(prepared, directory, { recursive: true });
  try {
    const columns = fs.readdirSync(directory).filter((name) => name.endsWith(".col"));
    if (columns.length !== 1) throw new Error(`${columns.length} files of columns, expected 1`);
    if (state === "absent") fs.rmSync(`${directory}/${columns[0]}`);
    const start = performance.now();
    const store = await MmapVectorStore.open(directory);
    const opened = performance.now();
    const found = await store.search(query, { k: 10, filter: FILTER });
    const answered = performance.now();
    if (found.length !== 10) throw new Error(`${found.length} results, expected 10`);
    await store.close();
    return {
      columns: state,
      "open s": ((opened - start) / 1000).toFixed(2),
      "first filtered answer s": ((answered - start) / 1000).toFixed(2),
      bar: `<= ${secondsMax}`,
    };
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
try {
  await prepare(directory);
  const rows = [await measure(directory, "present", 2), await measure(directory, "absent", 5)];
  report({ workload: "filter-start", aim: `${SIZE} x ${DIMENSIONS}: 2 s with columns, 5 s without`, rows });
} finally {
  fs.rmSync(directory, { recursive: true });
}
