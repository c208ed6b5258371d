/**
 * A collection larger than its memory: searches, searches beside inserts, and a start from cold files, under a memory
 * limit and without one. The limit is that of a cgroup (version 1 or 2), which needs root; where none can be made it is
 * `--memory-limit` alone, and the table says so. The sidecar is inside; Redis, which holds no vectors, is too.
 *
 * `VECTORS=1000000 LIMIT_MIB=1024 npx tsx bench/larger-than-memory.ts` is the size of the bar; it takes an hour. Most
 * of it goes into the store: STORE names a directory for it that is kept and used again, SECONDS=0 only prepares it.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { generator } from "../harness/random.ts";
import { startRedis } from "../harness/redis-server.ts";
import { startSidecar } from "../harness/sidecar.ts";
import { Catalog } from "../src/engine/catalog.ts";
import { resolveOptions } from "../src/engine/options.ts";
import { percentile, type Row, report } from "./harness.ts";
import { clustered } from "./search/clustered.ts";
import { dropFromCache } from "./search/page-cache.ts";
import { withClients } from "./through-redis.ts";

const COLLECTION = "bench";
const DIMENSIONS = 768;
const VECTORS = Number(process.env.VECTORS ?? 100_000);
/** Of vectors and index: a third, where nothing else is asked for; the program itself takes some 100 MiB. */
const LIMIT_MIB = Number(process.env.LIMIT_MIB ?? Math.round((VECTORS * 4_000) / 3 / 2 ** 20) + 100);
const SECONDS = Number(process.env.SECONDS ?? 15);
const QUERIES = 500;
const CLIENTS = 8;
const K = 10;
const EF = 100;
const INSERTS_PER_SECOND = 200;
/** Inserts of one step of 50 ms. */
const INSERTS_AT_ONCE = INSERTS_PER_SECOND / 20;
const BATCH = 1_000;

// Two seeds would be two data sets: queries and vectors to insert are the last rows of one.
const data = clustered(VECTORS + QUERIES, DIMENSIONS, 1).data;
const rowOf = (i: number) => data.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS);
const blobOf = (row: Float32Array) => Buffer.from(row.buffer, row.byteOffset, row.byteLength);
const queryOf = (i: number) => blobOf(rowOf(VECTORS + (i % QUERIES)));

async function prepare(directory: string): Promise<void> {
  const catalog = await Catalog.open(directory);
  const collection = await catalog.create(COLLECTION, resolveOptions({ dimensions: DIMENSIONS }), "1-1");
  for (let first = 0; first < VECTORS; first += BATCH) {
    const count = Math.min(BATCH, VECTORS - first);
    await collection.reserve(count);
    const keys = Array.from({ length: count }, (_, i) => Buffer.from(`key:${first + i}`));
    collection.insertBatch(keys, data.slice(first * DIMENSIONS, (first + count) * DIMENSIONS));
  }
  await collection.build();
  await catalog.close();
}

interface Confinement {
  /** As the table calls it. */
  readonly name: string;
  readonly through: string[];
  readonly args: string[];
  admit(pid: number): void;
  remove(): void;
}

const unconfined: Confinement = { name: "none", through: [], args: [], admit() {}, remove() {} };

/** A cgroup of its own, else the setting. */
function confinement(mib: number): Confinement {
  const bytes = mib * 2 ** 20;
  const args = ["--memory-limit", String(bytes)];
  for (const [root, file] of [
    ["/sys/fs/cgroup/memory", "memory.limit_in_bytes"],
    ["/sys/fs/cgroup", "memory.max"],
  ] as const) {
    const group = `${root}/vstore-bench-${process.pid}`;
    if (!fs.existsSync(`${root}/cgroup.procs`)) continue;
    try {
      fs.mkdirSync(group);
      fs.writeFileSync(`${group}/${file}`, String(bytes));
    } catch {
      continue;
    }
    const procs = `${group}/cgroup.procs`;
    const through = ["sh", "-c", `echo $$ > ${procs}; exec "$@"`, "sh"];
    const admit = (pid: number) => fs.writeFileSync(procs, String(pid));
    return { name: `cgroup of ${mib} MiB`, through, args: [], admit, remove: () => fs.rmdirSync(group) };
  }
  return { name: `--memory-limit of ${mib} MiB`, through: [], args, admit() {}, remove() {} };
}

async function search(client: Redis, i: number, ...more: string[]): Promise<string[]> {
  const reply = await client.call(
    "VSTORE.SEARCH",
    COLLECTION,
    "FP32",
    queryOf(i),
    "COUNT",
    K,
    "EF",
    EF,
    ...more,
  );
  return reply as string[];
}

/** Asks until there is an answer. */
async function firstAnswer(client: Redis): Promise<void> {
  for (;;) {
    try {
      return void (await search(client, 0));
    } catch (error) {
      if (!String(error).includes("VSTOREDOWN")) throw error;
      await delay(5);
    }
  }
}

async function recall(client: Redis, truth: readonly string[][]): Promise<number> {
  let found = 0;
  for (const [i, expected] of truth.entries()) {
    const keys = new Set(await search(client, i));
    found += expected.filter((key) => keys.has(key)).length;
  }
  return found / (truth.length * K);
}

/** Latencies in ms of one client, and searches a second of eight, each for so many seconds. */
async function speeds(clients: readonly Redis[]): Promise<{ p50: number; p99: number; rate: number }> {
  const latencies: number[] = [];
  const random = generator(2);
  const any = () => Math.floor(random() * QUERIES);
  const end = () => performance.now() + SECONDS * 1000;
  for (const last = end(); performance.now() < last; ) {
    const begin = performance.now();
    await search(clients[0]!, any());
    latencies.push(performance.now() - begin);
  }
  let count = 0;
  const begin = performance.now();
  const last = end();
  const flood = async (client: Redis) => {
    for (; performance.now() < last; count++) await search(client, any());
  };
  await Promise.all(clients.slice(0, CLIENTS).map(flood));
  const rate = count / ((performance.now() - begin) / 1000);
  return { p50: percentile(latencies, 50), p99: percentile(latencies, 99), rate };
}

/** Inserts at a steady rate until `isOver`; returns how many were answered a second. */
async function insertMeanwhile(client: Redis, isOver: () => boolean): Promise<number> {
  const begin = performance.now();
  let sent = 0;
  const underWay = new Set<Promise<unknown>>();
  while (!isOver()) {
    for (let i = 0; i < INSERTS_AT_ONCE; i++, sent++) {
      const done = client.call(
        "VSTORE.INSERT",
        COLLECTION,
        `new:${sent}`,
        "FP32",
        blobOf(rowOf(sent % VECTORS)),
      );
      underWay.add(done.finally(() => underWay.delete(done)));
    }
    await delay(Math.max(0, begin + (sent / INSERTS_PER_SECOND) * 1000 - performance.now()));
    if (underWay.size > INSERTS_PER_SECOND * 5) await Promise.all(underWay);
  }
  await Promise.all(underWay);
  return sent / ((performance.now() - begin) / 1000);
}

async function factsOf(client: Redis): Promise<(name: string) => number> {
  const facts = (await client.call("VSTORE.INFO", COLLECTION)) as (string | number)[];
  return (name) => Number(facts[facts.indexOf(name) + 1]);
}

const mib = (bytes: number) => Math.round(bytes / 2 ** 20);

async function measure(prepared: string, limit: Confinement, truth: string[][]): Promise<Row> {
  const directory = `${prepared}-copy`;
  fs.cpSync(prepared, directory, { recursive: true });
  dropFromCache(directory);
  const redis = await startRedis();
  const begin = performance.now();
  const sidecar = startSidecar({
    redisUrl: redis.url,
    dataDir: directory,
    through: limit.through,
    args: limit.args,
  });
  try {
    return await withClients(redis.url, CLIENTS + 1, async (clients) => {
      const inserter = clients[CLIENTS]!;
      await firstAnswer(inserter);
      const ready = (performance.now() - begin) / 1000;
      limit.admit(Number(/process_id:(\d+)/.exec(await inserter.info("server"))![1]));
      if (truth.length === 0)
        for (let i = 0; i < QUERIES; i++) truth.push(await search(inserter, i, "EXACT"));
      const found = await recall(inserter, truth);
      const still = await speeds(clients);
      const before = await factsOf(inserter);
      let isOver = false;
      const inserted = insertMeanwhile(inserter, () => isOver);
      const busy = await speeds(clients);
      isOver = true;
      return {
        limit: limit.name,
        "ready s, cold": ready.toFixed(2),
        "recall@10": found.toFixed(4),
        "p50 ms": still.p50.toFixed(2),
        "p99 ms": still.p99.toFixed(2),
        "q/s of 8": Math.round(still.rate),
        "inserts/s": Math.round(await inserted),
        "p50 ms beside": busy.p50.toFixed(2),
        "p99 ms beside": busy.p99.toFixed(2),
        "q/s of 8 beside": Math.round(busy.rate),
        "vectors MiB in memory": mib(before("resident_bytes")),
        "index MiB mapped": mib(before("index_mapped_bytes")),
        "of it in memory": mib(before("index_resident_bytes")),
        "index MiB owned": mib(before("index_bytes")),
      };
    });
  } finally {
    await sidecar.kill();
    await redis.stop();
    limit.remove();
    fs.rmSync(directory, { recursive: true });
  }
}

const kept = process.env.STORE;
const prepared = kept ?? fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
try {
  if (!kept || !fs.existsSync(kept)) await prepare(prepared);
  if (SECONDS > 0) await compare();
} finally {
  if (!kept) fs.rmSync(prepared, { recursive: true });
}

async function compare(): Promise<void> {
  const truth: string[][] = [];
  const rows = [await measure(prepared, unconfined, truth)];
  rows.push(await measure(prepared, confinement(LIMIT_MIB), truth));
  report({
    workload: "larger-than-memory",
    aim: `${VECTORS} x ${DIMENSIONS}, clustered, INT8, EF ${EF}: recall 0.95 and ready in 3 s under the limit`,
    rows,
  });
}
