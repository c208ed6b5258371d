/**
 * One collection over three nodes (SHARDS 3) beside the same vectors on one node, in one cluster and one run: recall,
 * latency of one query at a time, queries a second of several connections, and the CPU that all servers and sidecars
 * take for a query; "of one node" are the medians of what each round tells of the two. VECTORS, DIMENSIONS and QUERIES
 * make it smaller. All nodes share this machine's cores, so it shows what spreading costs, and not what more machines
 * give. No sidecar polls: one would take the cores from another.
 */
import { Redis } from "ioredis";
import { RedisCluster } from "../harness/cluster.ts";
import { type SidecarProcess, startSidecar } from "../harness/sidecar.ts";
import { cpuUs } from "./cpu.ts";
import { median, percentile, type Row, rate, report } from "./harness.ts";
import { clustered } from "./search/clustered.ts";
import { share } from "./through-redis.ts";

const vectors = Number(process.env.VECTORS ?? 300_000);
const dimensions = Number(process.env.DIMENSIONS ?? 100);
const queries = Number(process.env.QUERIES ?? 500);
const rounds = Number(process.env.ROUNDS ?? 3);
const rowsPerInsert = 1_000;
const connections = 8;
const k = 10;
const efs = [50, 100, 200];
/** Rounds that do not count: the sidecars' code is compiled as it runs. */
const warmUps = 2;
/** After this time each EF has one round, so that all ends within ten minutes on two cores that nothing else uses. */
const fewRoundsAfterMs = 7 * 60_000;

const data = clustered(vectors + queries, dimensions, 1).data;
const blobOf = (from: number, count: number) =>
  Buffer.from(data.buffer, data.byteOffset + from * dimensions * 4, count * dimensions * 4);
const queryBlobs = Array.from({ length: queries }, (_, i) => blobOf(vectors + i, 1));

async function fill(client: Redis, name: string): Promise<void> {
  for (let at = 0; at < vectors; at += rowsPerInsert) {
    const count = Math.min(rowsPerInsert, vectors - at);
    const keys = Array.from({ length: count }, (_, i) => String(at + i));
    await client.call("VSTORE.MINSERT", name, count, ...keys, "FP32", blobOf(at, count));
  }
  await client.call("VSTORE.BUILD", name, "WAIT");
}

const search = (client: Redis, name: string, query: number, ...options: (string | number)[]) =>
  client.call("VSTORE.SEARCH", name, "FP32", queryBlobs[query % queries]!, "COUNT", k, ...options) as Promise<
    string[]
  >;

async function recallOf(
  client: Redis,
  name: string,
  ef: number,
  truth: readonly Set<string>[],
): Promise<number> {
  let found = 0;
  for (const [i, nearest] of truth.entries())
    for (const key of await search(client, name, i, "EF", ef)) found += Number(nearest.has(key));
  return found / (k * truth.length);
}

async function latenciesOf(client: Redis, name: string, ef: number): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < queries; i++) {
    const start = performance.now();
    await search(client, name, i, "EF", ef);
    all.push(performance.now() - start);
  }
  return all;
}

/** Of one name, a value for each round. */
interface Figures {
  readonly ms: number[];
  readonly p50s: number[];
  readonly rates: number[];
  readonly us: number[];
}

async function round(clients: readonly Redis[], name: string, ef: number, cpu: () => number, to: Figures) {
  const ms = await latenciesOf(clients[0]!, name, ef);
  const before = cpu();
  const searches = () => share(clients, 4 * queries, (client, i) => search(client, name, i, "EF", ef));
  const each = await rate(4 * queries, searches);
  to.us.push((cpu() - before) / (4 * queries));
  to.ms.push(...ms);
  to.p50s.push(percentile(ms, 50));
  to.rates.push(each);
}

const newFigures = (): Figures => ({ ms: [], p50s: [], rates: [], us: [] });

/** What each round tells of the second beside the first. */
const ratio = (of: readonly number[], to: readonly number[]) => median(of.map((each, i) => each / to[i]!));

/** Of two names one after the other, several times, so that other work on the machine concerns both. */
async function compare(
  clientsOf: (name: string) => readonly Redis[],
  names: readonly [string, string],
  cpu: () => number,
  truth: readonly Set<string>[],
): Promise<Row[]> {
  const rows: Row[] = [];
  for (let warm = 0; warm < warmUps; warm++)
    for (const name of names) await round(clientsOf(name), name, efs[0]!, cpu, newFigures());
  for (const ef of efs) {
    const all = names.map(newFigures);
    for (let i = 0; i === 0 || (i < rounds && performance.now() < fewRoundsAfterMs); i++)
      for (const [at, name] of names.entries()) await round(clientsOf(name), name, ef, cpu, all[at]!);
    for (const [at, name] of names.entries()) {
      const [{ ms, p50s, rates, us }, one] = [all[at]!, all[0]!];
      rows.push({
        collection: name,
        EF: ef,
        "recall@10": (await recallOf(clientsOf(name)[0]!, name, ef, truth)).toFixed(4),
        "p50 ms": percentile(ms, 50).toFixed(2),
        "p99 ms": percentile(ms, 99).toFixed(2),
        "p50 of one node": ratio(p50s, one.p50s).toFixed(2),
        "queries/s": Math.round(median(rates)),
        "CPU µs a query": Math.round(median(us)),
        "CPU of one node": ratio(us, one.us).toFixed(2),
      });
    }
  }
  return rows;
}

const cluster = await RedisCluster.start(3, { appendonly: "everysec" });
const sidecars: SidecarProcess[] = [];
const opened: Redis[] = [];
try {
  for (const { server } of cluster.nodes)
    sidecars.push(startSidecar({ redisUrl: server.url, args: ["--busy-poll-us", "0"] }));
  for (const sidecar of sidecars) await sidecar.waitReady();
  for (const { redis } of cluster.nodes) await redis.config("SET", "vstore.timeout", 60_000);
  const byName = new Map<string, Redis[]>();
  for (const name of ["one node", "three nodes"].map((each) => each.replace(" ", "-"))) {
    const { server } = await cluster.nodeOf(name);
    const clients = Array.from({ length: connections }, () => new Redis(server.url, { protocol: 2 }));
    opened.push(...clients);
    byName.set(name, clients);
    const shards = name.startsWith("three") ? ["SHARDS", 3] : [];
    await clients[0]!.call("VSTORE.CREATE", name, "DIM", dimensions, ...shards);
    await fill(clients[0]!, name);
  }
  const one = byName.get("one-node")!;
  const truth: Set<string>[] = [];
  for (let i = 0; i < queries; i++) truth.push(new Set(await search(one[0]!, "one-node", i, "EXACT")));
  const pids = [...sidecars.map(({ pid }) => pid), ...cluster.nodes.map(({ server }) => server.pid)];
  const cpu = () => pids.reduce((sum, pid) => sum + cpuUs(pid), 0);
  report({
    workload: "shards",
    aim: `${vectors} x ${dimensions}: recall of three nodes at least that of one at the same EF`,
    rows: await compare((name) => byName.get(name)!, ["one-node", "three-nodes"], cpu, truth),
  });
} finally {
  for (const client of opened) client.disconnect();
  for (const sidecar of sidecars) await sidecar.kill();
  await cluster.stop();
}
