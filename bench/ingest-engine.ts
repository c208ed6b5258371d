/**
 * Vectors inserted one by one into the library, beside the ceiling: plain Float32Array.set into the same mapped
 * file. Both fill the same bytes of the same size of file, in turn, five times; the median counts.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { Segments } from "../src/engine/disk/segments.ts";
import { resolveOptions } from "../src/engine/options.ts";
import { MmapVectorStore } from "../src/index.ts";
import { median, type Row, rate, report, thousands } from "./harness.ts";

/** Published figures of the ancestor, vectors/s, measured on a far larger machine. */
const AIM: Record<number, number> = { 384: 767_000, 768: 490_000, 1536: 278_000 };
const BYTES = 256 << 20;
const ROUNDS = 3;

const rows: Row[] = [];
for (const dimensions of [128, 384, 768, 1536]) {
  const ceiling: number[] = [];
  const engine: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ceiling.push(await inDirectory((directory) => measureCeiling(directory, dimensions)));
    engine.push(await inDirectory((directory) => measureEngine(directory, dimensions)));
  }
  const aim = AIM[dimensions];
  rows.push({
    dimensions,
    "insert/s": thousands(median(engine)),
    "ceiling/s": thousands(median(ceiling)),
    "of ceiling": (median(engine) / median(ceiling)).toFixed(2),
    "aim/s": aim === undefined ? "-" : thousands(aim),
    "of aim": aim === undefined ? "-" : (median(engine) / aim).toFixed(2),
  });
}
report({
  workload: "ingest-engine",
  aim: "767 K/s at 384, 490 K/s at 768, 278 K/s at 1536 dimensions",
  rows,
});

async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
  try {
    return await work(directory);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

async function measureCeiling(directory: string, dimensions: number): Promise<number> {
  const count = countOf(dimensions);
  const segments = Segments.open(directory, resolveOptions({ dimensions, metric: "L2" }), 0);
  const vectors = someVectors(dimensions);
  segments.reserveNow(count);
  const result = await rate(count, () => {
    let i = 0;
    for (const { segment, rows } of segments.covering(count)) {
      for (let row = 0; row < rows; row++) segment.rows.set(vectors[i++ & 1023]!, row * dimensions);
    }
  });
  segments.close();
  return result;
}

async function measureEngine(directory: string, dimensions: number): Promise<number> {
  const count = countOf(dimensions);
  const store = await MmapVectorStore.open(directory, { dimensions });
  const vectors = someVectors(dimensions);
  await store.reserve(count);
  const result = await rate(count, () => {
    for (let i = 0; i < count; i++) store.insert(`key:${i}`, vectors[i & 1023]!);
  });
  await store.close();
  return result;
}

function countOf(dimensions: number): number {
  return Math.floor(BYTES / (dimensions * 4));
}

function someVectors(dimensions: number): Float32Array[] {
  return Array.from({ length: 1024 }, (_, i) =>
    Float32Array.from({ length: dimensions }, (_, j) => Math.sin(i * 7 + j)),
  );
}
