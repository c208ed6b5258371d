/**
 * Collections of near-duplicates and of duplicates, under which an index can lose vectors without a wrong answer: they
 * are filled in parts, changed, reopened, and what the index finds is compared with EXACT.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { generator } from "../../harness/random.ts";
import { efOf } from "../../harness/shape-recall.ts";
import { type Shape, shapes } from "../../harness/shapes.ts";
import { MmapVectorStore } from "../../src/engine/library/mmap-vector-store.ts";
import { type CollectionOptions, quantizations } from "../../src/engine/options.ts";

const DIMENSIONS = 24;
const ROWS = 1_500;
const PARTS = 5;
const K = 10;
const QUERIES = 25;
/** The portable index finds less where near ones differ in length alone: hnswlib's graph of products is no other. */
const RECALL_MIN = { native: 0.98, portable: 0.8 } as const;
const alike = shapes.filter(({ name }) => /^near-duplicates|^duplicates|^zero/.test(name));

type Options = Pick<CollectionOptions, "dimensions" | "metric" | "quantization">;

/** @throws Error that names the round, where the index and EXACT do not agree */
export async function compareWithExact(seed: number, rounds: number, counted: () => void): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const random = generator(seed + round);
    const shape = pick(random, alike);
    const options: Options = {
      dimensions: DIMENSIONS,
      metric: pick(random, shape.metrics),
      quantization: pick(random, quantizations),
    };
    const index = pick(random, ["native", "portable"] as const);
    const what = `${shape.name}, ${options.metric} ${options.quantization}, ${index}, seed ${seed + round}`;
    await live(shape, options, index, random, what);
    counted();
  }
}

async function live(
  shape: Shape,
  options: Options,
  index: keyof typeof RECALL_MIN,
  random: () => number,
  what: string,
) {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-resemblance-`);
  const rows = shape.make(random, options.dimensions, ROWS);
  const open = () => MmapVectorStore.open(directory, options, undefined, index);
  const ef = efOf(options.quantization!);
  let store = await open();
  try {
    for (let part = 0; part < PARTS; part++) {
      const from = (ROWS / PARTS) * part;
      for (let i = from; i < from + ROWS / PARTS; i++) store.insert(String(i), rows[i]!);
      await store.buildIndex();
      for (let i = 0; i < ROWS / PARTS / 4; i++) store.delete(String(Math.floor(random() * from)));
      await assertAgrees(store, rows, index, ef, random, `${what}, part ${part}`);
      if (random() < 0.5) continue;
      await store.close();
      store = await open();
      await assertAgrees(store, rows, index, ef, random, `${what}, part ${part} reopened`);
    }
  } finally {
    await store.close();
    fs.rmSync(directory, { recursive: true });
  }
}

async function assertAgrees(
  store: MmapVectorStore,
  rows: readonly Float32Array[],
  index: keyof typeof RECALL_MIN,
  ef: number,
  random: () => number,
  what: string,
): Promise<void> {
  let hits = 0;
  let wanted = 0;
  for (let i = 0; i < QUERIES; i++) {
    const query = pick(random, rows);
    const exact = await store.search(query, { k: K, exact: true });
    const found = await store.search(query, { k: K, ef });
    wanted += exact.length;
    hits += found.filter(({ distance }) => distance <= exact.at(-1)!.distance).length;
    if (index === "native" && found[0]?.distance !== exact[0]?.distance) {
      throw new Error(`${what}: nearest at ${found[0]?.distance}, EXACT finds ${exact[0]?.distance}`);
    }
  }
  if (hits < RECALL_MIN[index] * wanted) throw new Error(`${what}: recall@${K} ${hits / wanted}`);
}

function pick<T>(random: () => number, all: readonly T[]): T {
  return all[Math.floor(random() * all.length)]!;
}
