/**
 * vstore/client beside raw `call` of the same ioredis connection: SEARCH one at a time, whose replies both turn into
 * objects, and inserts and searches that 64 callers await, batched and not. Ratios are of rounds that alternate.
 */
import { Redis } from "ioredis";
import { Vstore } from "../client/index.ts";
import { DIMENSIONS, loadWords } from "../harness/words.ts";
import { loadSample } from "../src/bridge/client/sample.ts";
import { alternate, type Row, rate, report } from "./harness.ts";
import { withVstore } from "./through-redis.ts";

const ROUNDS = 7;
const SEARCHES = 1_500;
const INSERTS = 6_400;
const CALLERS = 64;
const COLLECTION = "words";

const words = loadWords();
const query = (i: number) => words.vector(words.queries[i % words.queries.length]!);
const bytes = (i: number) => Buffer.from(query(i).buffer, query(i).byteOffset, DIMENSIONS * 4);

async function rawSearches(redis: Redis): Promise<void> {
  for (let i = 0; i < SEARCHES; i++) {
    const reply = await redis.call("VSTORE.SEARCH", COLLECTION, "FP32", bytes(i), "WITHDISTANCES");
    toObjects(reply as string[]);
  }
}

/** What every caller of raw `call` does with the flat reply. */
function toObjects(flat: readonly string[]): { key: string; distance: number }[] {
  const hits = [];
  for (let i = 0; i < flat.length; i += 2) hits.push({ key: flat[i]!, distance: Number(flat[i + 1]) });
  return hits;
}

async function searches(vstore: Vstore): Promise<void> {
  for (let i = 0; i < SEARCHES; i++) await vstore.search(COLLECTION, query(i));
}

/** `count` calls by callers that each await one before the next. */
async function concurrently(count: number, call: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < count) await call(next++);
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

function row(
  what: string,
  aim: string,
  { ours, ceiling, ratio }: Awaited<ReturnType<typeof alternate>>,
): Row {
  return { what, "per second": Math.round(ours), beside: Math.round(ceiling), ratio: ratio.toFixed(2), aim };
}

await withVstore(async ({ url }) => {
  await loadSample(url, () => {});
  const redis = new Redis(url);
  const [vstore, batching] = [new Vstore(redis), new Vstore(redis, { batch: true })];
  await vstore.build(COLLECTION, { wait: true });
  await vstore.create("inserted", { dim: DIMENSIONS });
  const inserts = (client: Vstore) => () =>
    rate(INSERTS, () => concurrently(INSERTS, (i) => client.insert("inserted", `key:${i}`, query(i))));
  const concurrentSearches = (client: Vstore) => () =>
    rate(SEARCHES, () => concurrently(SEARCHES, (i) => client.search(COLLECTION, query(i))));
  const rows = [
    row(
      "SEARCH of one caller, beside raw call",
      ">= 0.90",
      await alternate(
        ROUNDS,
        () => rate(SEARCHES, () => searches(vstore)),
        () => rate(SEARCHES, () => rawSearches(redis)),
      ),
    ),
    row(
      `insert of ${CALLERS} callers, batched beside not`,
      "> 1",
      await alternate(ROUNDS, inserts(batching), inserts(vstore)),
    ),
    row(
      `SEARCH of ${CALLERS} callers, batched beside not`,
      ">= 3",
      await alternate(ROUNDS, concurrentSearches(batching), concurrentSearches(vstore)),
    ),
  ];
  report({ workload: "client", aim: "the client beside raw call, batches beside single commands", rows });
  redis.disconnect();
});
