/**
 * Collections of near-duplicates and of duplicates, under which an index can lose vectors without a wrong answer: they
 * are filled in parts, changed, reopened, and what the index finds is compared with EXACT, with filters and without.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { generator } from "../../harness/random.ts";
import { efOf } from "../../harness/shape-recall.ts";
import { type Shape, shapes } from "../../harness/shapes.ts";
import { MmapVectorStore, type SearchResult } from "../../src/engine/library/mmap-vector-store.ts";
import { type CollectionOptions, quantizations } from "../../src/engine/options.ts";

const DIMENSIONS = 24;
const ROWS = 1_500;
const PARTS = 5;
const K = 10;
const QUERIES = 25;
/** The portable index finds less where near ones differ in length alone: hnswlib's graph of products is no other. */
const RECALL_MIN = { native: 0.98, portable: 0.8 } as const;
/** With a filter, whatever matches: what docs/filters.md promises. */
const FILTERED_RECALL_MIN = { native: 0.95, portable: 0.8 } as const;
/** Rows of one template are this many apart. */
const TEMPLATES = 10;
const NUMBERS = 1_000;
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
      for (let i = from; i < from + ROWS / PARTS; i++) {
        const attributes = { template: i % TEMPLATES, number: Math.floor(random() * NUMBERS) };
        store.insert(String(i), rows[i]!, { attributes: JSON.stringify(attributes) });
      }
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
  const plain = new Recall();
  const filtered = new Recall();
  for (let i = 0; i < QUERIES; i++) {
    const row = Math.floor(random() * rows.length);
    const query = rows[row]!;
    const exact = await store.search(query, { k: K, exact: true });
    const found = await store.search(query, { k: K, ef });
    plain.add(found, exact);
    if (index === "native" && found[0]?.distance !== exact[0]?.distance) {
      throw new Error(`${what}: nearest at ${found[0]?.distance}, EXACT finds ${exact[0]?.distance}`);
    }
    const filter = aFilter(random, row);
    const matching = await store.search(query, { k: K, filter, exact: true });
    const foundMatching = await store.search(query, { k: K, filter, ef });
    if (foundMatching.length !== matching.length)
      throw new Error(`${what}: ${foundMatching.length} of ${matching.length} results with ${filter}`);
    filtered.add(foundMatching, matching);
  }
  plain.assert(RECALL_MIN[index], what);
  filtered.assert(FILTERED_RECALL_MIN[index], `${what}, with filters`);
}

/** One that few rows match, or many; those of the query's own template, or only others. */
function aFilter(random: () => number, row: number): string {
  const some = `.number < ${pick(random, [10, 40, 100, 200, 500])}`;
  const own = `.template == ${row % TEMPLATES}`;
  return pick(random, [some, own, `not (${own})`, `not (${own}) and ${some}`]);
}

class Recall {
  #hits = 0;
  #wanted = 0;

  add(found: readonly SearchResult[], exact: readonly SearchResult[]): void {
    this.#wanted += exact.length;
    this.#hits += found.filter(({ distance }) => distance <= exact.at(-1)!.distance).length;
  }

  /** @throws Error below that */
  assert(least: number, what: string): void {
    if (this.#hits < least * this.#wanted)
      throw new Error(`${what}: recall@${K} ${this.#hits / this.#wanted}`);
  }
}

function pick<T>(random: () => number, all: readonly T[]): T {
  return all[Math.floor(random() * all.length)]!;
}
