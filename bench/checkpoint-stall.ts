/**
 * How long one checkpoint of a million dirty vectors keeps the event loop: the longest turn while it runs, alone and
 * beside a writer, and for comparison the longest turn of as much time without a checkpoint. Indexing is under
 * way all along, as it is after so many inserts.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { generator, randomVector } from "../harness/random.ts";
import { Collection } from "../src/engine/collection.ts";
import { createFiles } from "../src/engine/generation/recovery.ts";
import { FIRST_ID } from "../src/engine/log-id.ts";
import { resolveOptions } from "../src/engine/options.ts";
import { median, type Row, report } from "./harness.ts";

const DIMENSIONS = 128;
const DIRTY_VECTORS = 1_000_000;
const ROUNDS = 3;
/** Of the histogram; the delays that it shows include it. */
const RESOLUTION_MS = 1;
/** The writer inserts this many vectors whenever the event loop lets it. */
const WRITER_VECTORS = 10;

const random = generator(1);
let inserted = 0;

function insert(collection: Collection, count: number): void {
  for (let i = 0; i < count; i++) {
    collection.insert(Buffer.from(`key:${inserted++}`), randomVector(random, DIMENSIONS));
  }
}

interface Measured {
  readonly ms: number;
  /** The longest turn of the event loop. */
  readonly longestMs: number;
}

async function measure(work: () => Promise<unknown>): Promise<Measured> {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  await delay(20); // until its timer runs
  histogram.reset();
  const start = performance.now();
  await work();
  const ms = performance.now() - start;
  await delay(20); // a turn that began in the work is counted when it ends
  histogram.disable();
  return { ms, longestMs: histogram.max / 1e6 };
}

/** Writes until `work` is done. */
async function besideWriter(collection: Collection, work: () => Promise<unknown>): Promise<void> {
  let isDone = false;
  const working = work().finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await collection.reserve(WRITER_VECTORS);
    insert(collection, WRITER_VECTORS);
    await delay(1);
  }
  await working;
}

async function dirty(collection: Collection): Promise<void> {
  await collection.reserve(DIRTY_VECTORS);
  insert(collection, DIRTY_VECTORS);
}

async function round(directory: string): Promise<Record<string, Measured>> {
  const options = resolveOptions({ dimensions: DIMENSIONS, metric: "L2" });
  await createFiles(directory, "stall", options, FIRST_ID);
  const collection = await Collection.open(directory, console.warn);
  try {
    await dirty(collection);
    const alone = await measure(() => collection.checkpoint());
    await dirty(collection);
    const written = await measure(() => besideWriter(collection, () => collection.checkpoint()));
    const none = await measure(() => delay(alone.ms));
    return { "checkpoint alone": alone, "checkpoint beside a writer": written, "no checkpoint": none };
  } finally {
    await collection.abandon();
  }
}

const rounds: Record<string, Measured>[] = [];
for (let i = 0; i < ROUNDS; i++) {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
  try {
    rounds.push(await round(directory));
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}
const rows: Row[] = Object.keys(rounds[0]!).map((name) => {
  const measured = rounds.map((each) => each[name]!);
  const longest = measured.map(({ longestMs }) => longestMs);
  return {
    meanwhile: name,
    seconds: (median(measured.map(({ ms }) => ms)) / 1000).toFixed(2),
    "longest turn ms, median": median(longest).toFixed(1),
    "worst of the rounds": Math.max(...longest).toFixed(1),
  };
});
report({
  workload: "checkpoint-stall",
  aim: `under 20 ms; ${DIRTY_VECTORS.toLocaleString("en")} dirty vectors of ${DIMENSIONS} dimensions, ${ROUNDS} rounds`,
  rows,
});
