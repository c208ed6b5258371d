/**
 * What a collection costs the other collections: a server with many small ones beside a server with one,
 * searched in turn, and what the many take of time and memory while no client asks for anything.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { startRedis } from "../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../harness/sidecar.ts";
import { median, report } from "./harness.ts";

const COLLECTIONS = Number(process.env.COLLECTIONS ?? 1_000);
const CLIENTS = 16;
const VECTORS = 20;
const DIMENSIONS = 64;
const SEARCHES = 2_000;
const IDLE_MS = 20_000;
/** Linux counts a process' time in these. */
const TICK_MS = 10;

const vector = () => Buffer.from(Float32Array.from({ length: DIMENSIONS }, () => Math.random() - 0.5).buffer);
const nameOf = (i: number) => `c${i}`;

async function fill(url: string, count: number): Promise<{ createMs: number }> {
  const clients = Array.from({ length: CLIENTS }, () => new Redis(url));
  const each = async (task: (client: Redis, i: number) => Promise<unknown>) => {
    let next = 0;
    await Promise.all(
      clients.map(async (client) => {
        for (let i = next++; i < count; i = next++) await task(client, i);
      }),
    );
  };
  const start = performance.now();
  await each((client, i) => client.call("VSTORE.CREATE", nameOf(i), "DIM", DIMENSIONS));
  const createMs = performance.now() - start;
  await each((client, i) => {
    const keys = Array.from({ length: VECTORS }, (_, key) => `k${key}`);
    return client.call(
      "VSTORE.MINSERT",
      ...[nameOf(i), VECTORS, ...keys, "FP32", Buffer.concat(keys.map(vector))],
    );
  });
  for (const client of clients) client.disconnect();
  return { createMs };
}

async function search(client: Redis, count: number): Promise<number> {
  const start = performance.now();
  const name = nameOf(Math.floor(Math.random() * count));
  await client.call("VSTORE.SEARCH", name, "FP32", vector(), "COUNT", 10);
  return (performance.now() - start) * 1_000;
}

const cpuMs = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
};
/** Memory of the process itself, without the pages of mapped files, which the system may take back at any time. */
const ownKb = (pid: number) => status(pid, "RssAnon");
const status = (pid: number, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
const handles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

async function server(count: number) {
  const redis = await startRedis({});
  const dataDir = mkdtempSync(join(tmpdir(), "vstore-many-"));
  const serve = async () => {
    const sidecar: SidecarProcess = startSidecar({ redisUrl: redis.url, dataDir });
    await sidecar.waitReady();
    return sidecar;
  };
  let sidecar = await serve();
  const empty = { rss: status(sidecar.pid, "VmRSS"), own: ownKb(sidecar.pid) };
  const { createMs } = await fill(redis.url, count);
  const client = new Redis(redis.url);
  const restart = async () => {
    await sidecar.stop();
    const start = performance.now();
    sidecar = await serve();
    return performance.now() - start;
  };
  const stop = async () => {
    client.disconnect();
    await sidecar.stop();
    await redis.stop();
    rmSync(dataDir, { recursive: true });
  };
  return { client, createMs, empty, restart, stop, pid: () => sidecar.pid };
}

const [one, many] = [await server(1), await server(COLLECTIONS)];
try {
  const times = { one: [] as number[], many: [] as number[] };
  for (let i = 0; i < SEARCHES; i++) {
    times.one.push(await search(one.client, 1));
    times.many.push(await search(many.client, COLLECTIONS));
  }
  await many.client.call("VSTORE.CHECKPOINT"); // otherwise the schedule makes it while nothing should happen
  await sleep(2_000);
  const [before, beforeOne] = [cpuMs(many.pid()), cpuMs(one.pid())];
  await sleep(IDLE_MS);
  const idle = (cpuMs(many.pid()) - before) / IDLE_MS;
  const idleOne = (cpuMs(one.pid()) - beforeOne) / IDLE_MS;
  const kb = status(many.pid(), "VmRSS") - many.empty.rss;
  const kbOwn = ownKb(many.pid()) - many.empty.own;
  const open = handles(many.pid());
  const startMs = await many.restart();
  const startKb = status(many.pid(), "VmRSS") - many.empty.rss;
  const [oneUs, manyUs] = [median(times.one), median(times.many)];
  report({
    workload: "many-collections",
    aim: `${COLLECTIONS} collections of ${VECTORS} vectors: SEARCH p50 <= 1.2 x one's, idle <= 0.01 core, <= 300 KB each, start <= 5 s, CREATE by ${CLIENTS} <= 30 s`,
    rows: [
      {
        "SEARCH p50 us": Math.round(manyUs),
        "of one's": (manyUs / oneUs).toFixed(2),
        "idle core": idle.toFixed(3),
        "with one": idleOne.toFixed(3),
        "KB each": Math.round(kb / COLLECTIONS),
        "of it its own": Math.round(kbOwn / COLLECTIONS),
        "KB each after start": Math.round(startKb / COLLECTIONS),
        "file handles": open,
        "start ms": Math.round(startMs),
        "CREATE ms": Math.round(many.createMs),
      },
    ],
  });
} finally {
  await Promise.all([one.stop(), many.stop()]);
}
