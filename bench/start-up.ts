/**
 * Starting `vstore serve` on existing files: seconds from the start of the process to the first correct answer through
 * Redis, and how much memory that takes at its peak beside what serving takes, with the saved index present, absent
 * and damaged. The files are in the page cache; Redis runs already and has no log to replay.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { generator, randomVector } from "../harness/random.ts";
import { startRedis } from "../harness/redis-server.ts";
import { startSidecar } from "../harness/sidecar.ts";
import { Catalog } from "../src/engine/catalog.ts";
import { resolveOptions } from "../src/engine/options.ts";
import { median, type Row, report } from "./harness.ts";
import { withClients } from "./through-redis.ts";

const COLLECTION = "bench";
/** Modest, because preparing the files and building the index again are not what is measured. */
const SETTINGS = { metric: "L2", M: 8, efConstruction: 40 } as const;
const SIZES = [
  { vectors: 300_000, dimensions: 100 },
  { vectors: 100_000, dimensions: 768 },
];
/** The last one goes on until the index is complete. */
const ROUNDS = 3;
const BATCH_VECTORS = 1_000;
const CLUSTERS = 1_000;
/** Of the searches: enough to find a stored vector in a graph of such settings. */
const EF = 500;
/** How far a vector is from the centre of its cluster, as a share of how far centres are from each other. */
const SPREAD = 0.3;
const POLL_MS = 5;
/** A steady sidecar has its whole index, has answered so many searches, and then had this pause. */
const STEADY = { searches: 1_000, pauseMs: 3_000 };

const INDEX: Record<string, (path: string) => void> = {
  present() {},
  absent: (path) => fs.rmSync(path),
  damaged(path) {
    const file = fs.openSync(path, "r+");
    fs.writeSync(file, "damage", Math.floor(fs.fstatSync(file).size / 2));
    fs.closeSync(file);
  },
};

type Size = (typeof SIZES)[number];

/** Vector i of a data set, always the same. */
function vectorOf(i: number, { dimensions }: Size): Float32Array {
  const centre = randomVector(generator(i % CLUSTERS), dimensions);
  const offset = randomVector(generator(CLUSTERS + i), dimensions);
  return centre.map((component, at) => component + SPREAD * offset[at]!);
}

const blob = (vector: Float32Array): Buffer => Buffer.from(vector.buffer);

async function prepare(directory: string, size: Size): Promise<void> {
  const catalog = await Catalog.open(directory);
  const options = resolveOptions({ dimensions: size.dimensions, ...SETTINGS });
  const collection = await catalog.create(COLLECTION, options, "1-1");
  for (let first = 0; first < size.vectors; first += BATCH_VECTORS) {
    const numbers = Array.from({ length: BATCH_VECTORS }, (_, i) => first + i);
    const vectors = new Float32Array(BATCH_VECTORS * size.dimensions);
    for (const [row, i] of numbers.entries()) vectors.set(vectorOf(i, size), row * size.dimensions);
    await collection.reserve(BATCH_VECTORS);
    collection.insertBatch(
      numbers.map((i) => Buffer.from(`key:${i}`)),
      vectors,
    );
  }
  await collection.build();
  await catalog.close();
}

interface Memory {
  readonly now: number;
  readonly anonymous: number;
  readonly file: number;
  readonly peak: number;
}

/** MiB, from /proc. */
function memoryOf(pid: number): Memory {
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  return { now: field("VmRSS"), anonymous: field("RssAnon"), file: field("RssFile"), peak: field("VmHWM") };
}

async function search(client: Redis, i: number, size: Size): Promise<string | undefined> {
  const query = blob(vectorOf(i, size));
  const reply = await client.call("VSTORE.SEARCH", COLLECTION, "FP32", query, "COUNT", 1, "EF", EF);
  return (reply as string[])[0];
}

/** Asks until the answer is there. @throws Error when it is wrong */
async function firstAnswer(client: Redis, size: Size): Promise<void> {
  const i = Math.floor(size.vectors / 3);
  for (;;) {
    try {
      const key = await search(client, i, size);
      if (key !== `key:${i}`) throw new Error(`${key} is the answer, expected key:${i}`);
      return;
    } catch (error) {
      if (!String(error).includes("VSTOREDOWN")) throw error;
      await delay(POLL_MS);
    }
  }
}

/** Waits for the steady state; returns the number of searches that found the vector they asked for. */
async function becomeSteady(client: Redis, size: Size): Promise<number> {
  let indexed = 0;
  while (indexed < size.vectors) {
    await delay(100);
    const facts = (await client.call("VSTORE.INFO", COLLECTION)) as (string | number)[];
    indexed = Number(facts[facts.indexOf("indexed_slots") + 1]);
  }
  let found = 0;
  for (let n = 0; n < STEADY.searches; n++) {
    const i = (n * 7919) % size.vectors;
    if ((await search(client, i, size)) === `key:${i}`) found++;
  }
  await delay(STEADY.pauseMs);
  return found;
}

interface Start {
  readonly seconds: number;
  readonly first: Memory;
  readonly steady: Memory | undefined;
  readonly found: number | undefined;
}

async function start(directory: string, size: Size, untilSteady: boolean): Promise<Start> {
  const redis = await startRedis();
  try {
    return await withClients(redis.url, 1, async ([client]) => {
      const begin = performance.now();
      const sidecar = startSidecar({ redisUrl: redis.url, dataDir: directory });
      try {
        await firstAnswer(client!, size);
        const seconds = (performance.now() - begin) / 1000;
        const first = memoryOf(sidecar.pid);
        const found = untilSteady ? await becomeSteady(client!, size) : undefined;
        return { seconds, first, steady: untilSteady ? memoryOf(sidecar.pid) : undefined, found };
      } finally {
        await sidecar.kill();
      }
    });
  } finally {
    await redis.stop();
  }
}

/** A copy for each start, since a start tidies up what it finds. */
async function startOnCopy(
  prepared: string,
  state: string,
  size: Size,
  untilSteady: boolean,
): Promise<Start> {
  return inDirectory(async (directory) => {
    fs.cpSync(prepared, directory, { recursive: true });
    const files = fs.readdirSync(directory, { recursive: true, encoding: "utf8" });
    INDEX[state]!(`${directory}/${files.find((file) => file.endsWith(".hnsw"))!}`);
    return start(directory, size, untilSteady);
  });
}

async function measure(prepared: string, state: string, size: Size): Promise<Row> {
  const starts: Start[] = [];
  for (let round = 1; round <= ROUNDS; round++)
    starts.push(await startOnCopy(prepared, state, size, round === ROUNDS));
  const { first, steady, found } = starts[ROUNDS - 1]!;
  return {
    vectors: `${size.vectors} x ${size.dimensions}`,
    index: state,
    "first answer s": median(starts.map(({ seconds }) => seconds)).toFixed(2),
    "peak MiB till then": Math.round(first.peak),
    "peak MiB in all": Math.round(steady!.peak),
    "steady MiB": Math.round(steady!.now),
    anonymous: Math.round(steady!.anonymous),
    file: Math.round(steady!.file),
    "peak / steady till then": (first.peak / steady!.now).toFixed(2),
    "in all": (steady!.peak / steady!.now).toFixed(2),
    "found of 1,000": found!,
  };
}

async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
  try {
    return await work(directory);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

const rows: Row[] = [];
for (const size of SIZES) {
  await inDirectory(async (prepared) => {
    await prepare(prepared, size);
    for (const state of Object.keys(INDEX)) rows.push(await measure(prepared, state, size));
  });
}
report({
  workload: "start-up",
  aim: `a peak of 1.3 times the steady state; M ${SETTINGS.M}, EF_CONSTRUCTION ${SETTINGS.efConstruction}`,
  rows,
});
