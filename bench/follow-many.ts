/**
 * What follows cost keys that they do not concern: HSETs, many on the way at once, of keys that are not followed, on
 * three servers with 0, 1 and 1,000 follows. Nothing but the module is asked about a key, so no sidecar runs. The
 * servers take turns.
 */
import type { Redis } from "ioredis";
import { type RedisServer, startRedis } from "../harness/redis-server.ts";
import { median, type Row, rate, report } from "./harness.ts";
import { withClients } from "./through-redis.ts";

const ROUNDS = 11;
const CALLS_PER_ROUND = 50_000;
const KEYS = 1_000;
const FOLLOWS = [0, 1, 1_000] as const;

async function follow(client: Redis, follows: number): Promise<void> {
  const fields = Array.from({ length: follows }, (_, i) => {
    const prefix = `documents${i}:`;
    return [`c${i}`, `${prefix.length}:${prefix},9:embedding,`];
  });
  if (follows > 0) await client.hset("vstore:follows", ...fields.flat());
}

async function hsets(client: Redis): Promise<void> {
  const calls = client.pipeline();
  for (let i = 0; i < CALLS_PER_ROUND; i++) calls.hset(`other:${i % KEYS}`, "field", i);
  await calls.exec();
}

async function measure(clients: readonly Redis[]): Promise<number[][]> {
  const rounds: number[][] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const rates: number[] = [];
    for (const client of clients) rates.push(await rate(CALLS_PER_ROUND, () => hsets(client)));
    if (round > 0) rounds.push(rates);
  }
  return rounds;
}

/** Redis' own time for one HSET, the module's share of it included. */
async function microseconds(client: Redis): Promise<string> {
  return /cmdstat_hset:.*usec_per_call=([\d.]+)/.exec(await client.info("commandstats"))![1]!;
}

const servers: RedisServer[] = [];
try {
  for (const _ of FOLLOWS) servers.push(await startRedis());
  const clients: Redis[] = [];
  const costs: string[] = [];
  const connect = (at: number): Promise<number[][]> =>
    at === servers.length
      ? measure(clients).then(async (rounds) => {
          costs.push(...(await Promise.all(clients.map(microseconds))));
          return rounds;
        })
      : withClients(servers[at]!.url, 1, async ([client]) => {
          await follow(client!, FOLLOWS[at]!);
          clients.push(client!);
          return connect(at + 1);
        });
  const rounds = await connect(0);
  const rows: Row[] = FOLLOWS.map((follows, at) => ({
    follows,
    "HSET/s": Math.round(median(rounds.map((rates) => rates[at]!))),
    "of that without": median(rounds.map((rates) => rates[at]! / rates[0]!)).toFixed(2),
    "us of Redis": costs[at]!,
  }));
  report({ workload: "follow-many", aim: "at least 0.9 of the HSETs per second without any follow", rows });
} finally {
  for (const server of servers) await server.stop();
}
