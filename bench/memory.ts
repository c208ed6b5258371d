/**
 * What a collection takes of memory outside its mapped files, for each QUANT: a process that has opened it and answered
 * searches, less what the process took before; and the recall@10 of those searches. VECTORS, DIMENSIONS and QUANTS (a
 * list) narrow it.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import { fileURLToPath } from "node:url";
import { efOf } from "../harness/shape-recall.ts";
import { Collection } from "../src/engine/collection.ts";
import { createFiles } from "../src/engine/generation/recovery.ts";
import { FIRST_ID } from "../src/engine/log-id.ts";
import { type Quantization, quantizations, resolveOptions } from "../src/engine/options.ts";
import { type Row, report } from "./harness.ts";
import { clustered } from "./search/clustered.ts";
import { type Matrix, row, slice } from "./search/matrix.ts";
import { memoryOf } from "./search/memory.ts";

const K = 10;
const QUERIES = 100;
const BATCH = 1_000;
/** Bytes per vector at 100,000 x 768 that are aimed at. */
const AIMS: Partial<Record<Quantization, number>> = { INT8: 1_100, INT4: 650, BIN: 350 };
const vectors = Number(process.env.VECTORS ?? 100_000);
const dimensions = Number(process.env.DIMENSIONS ?? 768);
const quants = process.env.QUANTS?.split(",") ?? ["INT8", "INT4", "INT2", "BIN"];

interface Measured {
  readonly bytes: number;
  readonly recall: number;
}

async function build(directory: string, base: Matrix, quantization: Quantization): Promise<void> {
  fs.mkdirSync(directory);
  await createFiles(directory, "bench", resolveOptions({ dimensions, quantization }), FIRST_ID);
  const collection = await Collection.open(directory, console.warn, "native");
  await collection.reserve(base.rows);
  for (let from = 0; from < base.rows; from += BATCH) {
    const batch = slice(base, from, Math.min(from + BATCH, base.rows));
    const keys = Array.from({ length: batch.rows }, (_, i) => Buffer.from(`key:${from + i}`));
    collection.insertBatch(keys, batch.data);
  }
  await collection.build();
  await collection.close();
}

/** In a process of its own. */
async function measure(directory: string, queries: Matrix, ef: number): Promise<Measured> {
  const anonymous = () => {
    for (let i = 0; i < 3; i++) globalThis.gc?.();
    return memoryOf([process.pid])!.anonymous;
  };
  const before = anonymous();
  const collection = await Collection.open(directory, console.warn, "native");
  let hits = 0;
  for (let i = 0; i < queries.rows; i++) {
    const exact = await collection.search(row(queries, i), { k: K, exact: true });
    const found = await collection.search(row(queries, i), { k: K, ef });
    hits += found.filter(({ distance }) => distance <= exact.at(-1)!.distance).length;
  }
  const bytes = anonymous() - before;
  await collection.abandon();
  return { bytes, recall: hits / (K * queries.rows) };
}

function measureApart(directory: string, quantization: Quantization): Measured {
  const environment = { ...process.env, MEASURED: directory, QUANTS: quantization };
  const program = [...process.execArgv, "--expose-gc", fileURLToPath(import.meta.url)];
  return JSON.parse(execFileSync(process.execPath, program, { env: environment, encoding: "utf8" }));
}

if (process.env.MEASURED !== undefined) {
  // Others around the same centres as those that are stored.
  const queries = clustered(QUERIES, dimensions, 1);
  console.log(JSON.stringify(await measure(process.env.MEASURED, queries, efOf(quants[0] as Quantization))));
} else {
  const base = clustered(vectors, dimensions, 1);
  const rows: Row[] = [];
  for (const quantization of quantizations.filter((each) => quants.includes(each))) {
    const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
    try {
      await build(`${directory}/c`, base, quantization);
      const { bytes, recall } = measureApart(`${directory}/c`, quantization);
      const each = Math.round(bytes / vectors);
      const aim = AIMS[quantization];
      const bar = aim === undefined ? "" : each <= aim ? "met" : "MISSED";
      rows.push({
        QUANT: quantization,
        "bytes/vector": each,
        aim: aim ?? "",
        "recall@10": recall.toFixed(3),
        bar,
      });
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  }
  report({ workload: "memory", aim: `${vectors} x ${dimensions}, outside mapped files`, rows });
}
