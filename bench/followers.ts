/**
 * What a follower costs its leader. Writes by 16 connections, one at a time each: of a leader alone, of one with a
 * follower, and of one that waits for its follower (--sync-followers 1), three sets of processes that are asked in
 * turn. Then one client's searches while a follower with an empty directory gets its files through Redis, beside those
 * before.
 *
 * All processes are on one machine, where a follower takes the cores that its leader needs. So the CPU time of the
 * leader and its Redis for each write is told too: that is what a follower on a machine of its own would cost.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { type RedisServer, startRedis } from "../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../harness/sidecar.ts";
import { cpuUs } from "./cpu.ts";
import { median, percentile, type Row, rate, report } from "./harness.ts";
import { randomBlobs, share, withClients } from "./through-redis.ts";

const DIMENSIONS = 128;
const CONNECTIONS = 16;
const ROUNDS = Number(process.env.ROUNDS ?? 9);
const WRITES = Number(process.env.WRITES ?? 4_000);
/** The collection that travels, and how often. */
const SENT = Number(process.env.SENT ?? 100_000);
const BATCH = 500;
const SNAPSHOTS = Number(process.env.SNAPSHOTS ?? 3);
const SEARCHES = 2_000;
/** As shares of the rate of a leader alone, and as a multiple of the p99 before. */
const BARS = { "with a follower": 0.9, "that waits for a follower": 0.6, snapshot: 3 };

type Kind = "alone" | "with a follower" | "that waits for a follower";
const kinds: readonly Kind[] = ["alone", "with a follower", "that waits for a follower"];

interface Leader {
  readonly server: RedisServer;
  readonly sidecars: SidecarProcess[];
  /** Requests that were sent to it. */
  sent: number;
}

const blobs = randomBlobs(256, 1, DIMENSIONS);

const join = ({ server, sidecars }: Leader, env: Record<string, string>): SidecarProcess => {
  const sidecar = startSidecar({ redisUrl: server.url, env });
  sidecars.push(sidecar);
  return sidecar;
};

async function startLeader(syncFollowers = 0): Promise<Leader> {
  const server = await startRedis({
    appendonly: "everysec",
    args: ["--auto-aof-rewrite-percentage", "0"],
  });
  const leader = { server, sidecars: [], sent: 0 };
  await join(leader, { VSTORE_SYNC_FOLLOWERS: String(syncFollowers) }).waitReady();
  return leader;
}

async function start(kind: Kind): Promise<Leader> {
  const leader = await startLeader(kind === "that waits for a follower" ? 1 : 0);
  if (kind !== "alone") await join(leader, { VSTORE_ROLE: "follower" }).waitLog("in step");
  await withClients(leader.server.url, 1, async ([client]) => {
    const isInStep = async () => /followers_in_step:1\r/.test(await client!.info("vstore"));
    while (kind !== "alone" && !(await isInStep())) await sleep(50);
    await client!.call("VSTORE.CREATE", "c", "DIM", DIMENSIONS, "METRIC", "L2");
  });
  return leader;
}

async function stop({ server, sidecars }: Leader): Promise<void> {
  for (const sidecar of sidecars) await sidecar.kill();
  await server.stop();
}

/** Writes a second, and microseconds of CPU of leader and Redis for each. */
async function write(leader: Leader): Promise<[rate: number, cpu: number]> {
  const pids = [leader.sidecars[0]!.pid, leader.server.pid];
  const cpu = () => pids.reduce((sum, pid) => sum + cpuUs(pid), 0);
  const from = leader.sent;
  leader.sent += WRITES;
  return withClients(leader.server.url, CONNECTIONS, async (clients) => {
    const before = cpu();
    const perSecond = await rate(WRITES, () =>
      share(clients, WRITES, (client, i) =>
        client.call("VSTORE.INSERT", "c", `k${from + i}`, "FP32", blobs[i % blobs.length]!),
      ),
    );
    return [perSecond, (cpu() - before) / WRITES];
  });
}

async function compareWrites(): Promise<Row[]> {
  const leaders = new Map<Kind, Leader>();
  const measured = new Map(kinds.map((kind) => [kind, [] as [number, number][]]));
  try {
    for (const kind of kinds) leaders.set(kind, await start(kind));
    for (let round = 0; round <= ROUNDS; round++) {
      // The first round only warms up; then each of them is first in turn.
      const turns = kinds.map((_, i) => kinds[(i + round) % kinds.length]!);
      for (const kind of turns) {
        const one = await write(leaders.get(kind)!);
        if (round > 0) measured.get(kind)!.push(one);
      }
    }
  } finally {
    for (const leader of leaders.values()) await stop(leader);
  }
  const alone = measured.get("alone")!;
  return kinds.map((kind) => {
    const rounds = measured.get(kind)!;
    const ratio = (of: 0 | 1) => median(rounds.map((each, i) => each[of] / alone[i]![of])).toFixed(2);
    return {
      leader: kind,
      "writes/s": Math.round(median(rounds.map(([perSecond]) => perSecond))),
      "of alone": ratio(0),
      bar: kind === "alone" ? "–" : BARS[kind],
      "leader's CPU, µs": Math.round(median(rounds.map(([, cpu]) => cpu))),
      "CPU, of alone": ratio(1),
    };
  });
}

/** Microseconds of each search, one after the other, until `isOver`. */
async function search(client: Redis, isOver: (count: number) => boolean): Promise<number[]> {
  const times: number[] = [];
  while (!isOver(times.length)) {
    const begun = performance.now();
    await client.call("VSTORE.SEARCH", "c", "FP32", blobs[times.length % blobs.length]!, "COUNT", 10);
    times.push((performance.now() - begun) * 1000);
  }
  return times;
}

async function fill(client: Redis): Promise<void> {
  await client.call("VSTORE.CREATE", "c", "DIM", DIMENSIONS, "METRIC", "L2");
  const batches = randomBlobs(16, BATCH, DIMENSIONS);
  for (let at = 0; at < SENT; at += BATCH) {
    const keys = Array.from({ length: BATCH }, (_, i) => `k${at + i}`);
    await client.call("VSTORE.MINSERT", "c", BATCH, ...keys, "FP32", batches[(at / BATCH) % 16]!);
  }
  await client.call("VSTORE.BUILD", "c", "WAIT");
  // The log is trimmed up to it: a follower needs the files.
  await client.call("VSTORE.CHECKPOINT", "c");
  while ((await client.xlen("vstore:{c}:log")) > 0) await sleep(50);
}

async function compareSearches(): Promise<Row[]> {
  const leader = await startLeader();
  const rows: Row[] = [];
  try {
    await withClients(leader.server.url, 1, async ([client]) => {
      await fill(client!);
      for (let i = 0; i < SNAPSHOTS; i++) {
        const before = await search(client!, (count) => count >= SEARCHES);
        const follower = join(leader, { VSTORE_ROLE: "follower" });
        await follower.waitLog("receiving a snapshot");
        const begun = performance.now();
        const during = await search(client!, () => follower.stderr.includes("a snapshot has arrived"));
        const seconds = (performance.now() - begun) / 1000;
        await follower.stop();
        const [one, other] = [percentile(before, 99), percentile(during, 99)];
        rows.push({
          leader: `SEARCH while ${SENT} x ${DIMENSIONS} are sent in ${seconds.toFixed(1)} s`,
          "p99, µs": Math.round(other),
          "before, µs": Math.round(one),
          ratio: (other / one).toFixed(2),
          bar: BARS.snapshot,
        });
      }
    });
  } finally {
    await stop(leader);
  }
  return rows;
}

const rows = [...(await compareWrites()), ...(await compareSearches())];
report({ workload: "followers", aim: "of a leader alone: 0.9, 0.6; p99 at most 3 times that before", rows });
