/**
 * What being followed costs a client: the same HSET of a vector and a title, one at a time, on keys that a collection
 * takes its vectors from, and on keys that are not followed. Rounds alternate; in each the vectors are new.
 */
import type { Redis } from "ioredis";
import { median, percentile, type Row, report } from "./harness.ts";
import { randomBlobs, withClients, withVstore } from "./through-redis.ts";

const ROUNDS = 9;
const CALLS_PER_ROUND = 2_000;
const KEYS = 1_000;

interface Form {
  readonly follows: "FROM HASH" | "PREFIX only";
  readonly dimensions: number;
}

const FORMS: readonly Form[] = [
  { follows: "FROM HASH", dimensions: 128 },
  { follows: "FROM HASH", dimensions: 768 },
  { follows: "PREFIX only", dimensions: 128 },
];

interface Times {
  readonly p50: number;
  readonly p99: number;
}

/** Microseconds of HSETs under the prefix, one after the other. */
async function times(client: Redis, prefix: string, blobs: readonly Buffer[]): Promise<Times> {
  const measured: number[] = [];
  for (let i = 0; i < CALLS_PER_ROUND; i++) {
    const key = `${prefix}${i % KEYS}`;
    const start = performance.now();
    await client.hset(key, "embedding", blobs[i % blobs.length]!, "title", `title ${i}`);
    measured.push((performance.now() - start) * 1000);
  }
  return { p50: percentile(measured, 50), p99: percentile(measured, 99) };
}

async function measure(client: Redis, { follows, dimensions }: Form): Promise<Row> {
  const from = follows === "FROM HASH" ? ["FROM", "HASH", "FIELD", "embedding", "ATTRS", "title"] : [];
  const create = ["c", "DIM", dimensions, "METRIC", "L2", "FOLLOW", "PREFIX", "doc:", ...from];
  await client.call("VSTORE.CREATE", ...create);
  const rounds: { followed: Times; other: Times }[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const blobs = randomBlobs(CALLS_PER_ROUND, 1, dimensions);
    const followed = await times(client, "doc:", blobs);
    const other = await times(client, "xyz:", blobs);
    if (round > 0) rounds.push({ followed, other });
  }
  const middle = (pick: (round: { followed: Times; other: Times }) => number) => median(rounds.map(pick));
  return {
    follows: `${follows}, ${dimensions} d`,
    "followed p50 us": middle(({ followed }) => followed.p50).toFixed(1),
    "other p50 us": middle(({ other }) => other.p50).toFixed(1),
    "of the other": middle(({ followed, other }) => followed.p50 / other.p50).toFixed(2),
    "followed p99 us": Math.round(middle(({ followed }) => followed.p99)),
    "other p99 us": Math.round(middle(({ other }) => other.p99)),
  };
}

const rows: Row[] = [];
// A new server for each: what the last form has left, and a checkpoint of it, would slow down both halves of a round.
for (const form of FORMS)
  await withVstore(async ({ url }) => {
    rows.push(await withClients(url, 1, ([client]) => measure(client!, form)));
  });
report({ workload: "follow-hset", aim: "at most 1.3 of the same HSET on another key, p50", rows });
