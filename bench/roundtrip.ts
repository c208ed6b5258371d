/**
 * One client that asks one thing at a time: SEARCH on the words with a built index, beside PING, which never leaves
 * Redis, and CARD, which goes all the way to the sidecar and finds nothing to do there.
 */
import type { Redis } from "ioredis";
import { DIMENSIONS, loadWords } from "../harness/words.ts";
import { loadSample } from "../src/bridge/client/sample.ts";
import { median, percentile, type Row, report } from "./harness.ts";
import { withClients, withVstore } from "./through-redis.ts";

const ROUNDS = 5;
const CALLS_PER_ROUND = 1_000;
const COLLECTION = "words";

type Call = (client: Redis, i: number) => Promise<unknown>;

const words = loadWords();
const CALLS: Readonly<Record<string, Call>> = {
  PING: (client) => client.ping(),
  CARD: (client) => client.call("VSTORE.CARD", COLLECTION),
  SEARCH: (client, i) => client.call("VSTORE.SEARCH", COLLECTION, "FP32", query(i), "COUNT", 10),
};

function query(i: number): Buffer {
  const row = words.queries[i % words.queries.length]!;
  return Buffer.from(words.vectors.buffer, row * DIMENSIONS * 4, DIMENSIONS * 4);
}

/** Microseconds of each call, one after the other. */
async function times(client: Redis, call: Call): Promise<number[]> {
  const measured: number[] = [];
  for (let i = 0; i < CALLS_PER_ROUND; i++) {
    const start = performance.now();
    await call(client, i);
    measured.push((performance.now() - start) * 1000);
  }
  return measured;
}

/** For each call, the p50 and the p99 of every round; the rounds of the calls alternate, the first only warms up. */
async function measure(client: Redis): Promise<Map<string, { p50: number[]; p99: number[] }>> {
  const rounds = new Map(
    Object.keys(CALLS).map((name) => [name, { p50: [] as number[], p99: [] as number[] }]),
  );
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, call] of Object.entries(CALLS)) {
      const measured = await times(client, call);
      if (round === 0) continue;
      rounds.get(name)!.p50.push(median(measured));
      rounds.get(name)!.p99.push(percentile(measured, 99));
    }
  }
  return rounds;
}

await withVstore(async ({ url }) => {
  await loadSample(url, () => {});
  await withClients(url, 1, async ([client]) => {
    await client!.call("VSTORE.BUILD", COLLECTION, "WAIT");
    const rounds = await measure(client!);
    const ping = rounds.get("PING")!;
    const rows: Row[] = [...rounds].map(([name, { p50, p99 }]) => ({
      call: name,
      "p50 us": Math.round(median(p50)),
      "p99 us": Math.round(median(p99)),
      "p50 of PING's": median(p50.map((each, round) => each / ping.p50[round]!)).toFixed(2),
    }));
    report({
      workload: "roundtrip",
      aim: "latency of one call at a time; 10,000 words, 100 dimensions",
      rows,
    });
  });
});
