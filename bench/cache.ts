/**
 * One client that asks a cache, one thing at a time, beside SEARCH of the same vectors: what a hit, a miss, and the
 * very same question take, and a hit within a scope beside SEARCH with a filter. Then a thousand callers at once, who
 * ask what the cache does not know.
 */
import type { Redis } from "ioredis";
import { SemanticCache } from "../client/index.ts";
import { DIMENSIONS, loadWords } from "../harness/words.ts";
import { loadSample } from "../src/bridge/client/sample.ts";
import { median, percentile, type Row, report } from "./harness.ts";
import { share, withClients, withVstore } from "./through-redis.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 7);
const CALLS_PER_ROUND = Number(process.env.CALLS ?? 1_000);
const CALLERS = 1_000;
const TENANTS = 10;
const FILLING = 16;
const VALUE = "v".repeat(200);
/** As a ratio of SEARCH's p50, in the same round. */
const BAR = 1.3;

type Call = (client: Redis, i: number) => Promise<unknown>;

const { words, vectors, queries } = loadWords();
const vectorOf = (row: number) => vectors.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS);
const blobOf = (vector: Float32Array) => Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);

/** Between two words, so that no stored vector is the query. */
function query(i: number): Buffer {
  const [one, other] = [vectorOf(rowOf(i)), vectorOf(rowOf(i + 1))];
  return blobOf(one.map((component, at) => component + other[at]! / 2));
}

const rowOf = (i: number) => queries[i % queries.length]!;
const tenantOf = (row: number) => `tenant-${row % TENANTS}`;
const scope = (row: number) => ["SCOPE", "1", "tenant", tenantOf(row)];

const FILTERED = "SEARCH with a filter";
const SCOPED = "CACHE.GET, hit with a scope";

const CALLS: Readonly<Record<string, Call>> = {
  SEARCH: (client, i) => client.call("VSTORE.SEARCH", "words", "FP32", query(i), "COUNT", 10),
  [FILTERED]: (client, i) => {
    const filter = `.scope.tenant == "${tenantOf(i)}"`;
    return client.call("VSTORE.SEARCH", "scoped", "FP32", query(i), "COUNT", 10, "FILTER", filter);
  },
  "CACHE.GET, hit": (client, i) => client.call("VSTORE.CACHE.GET", "plain", "FP32", query(i), "WITHIN", 2),
  "CACHE.GET, miss": (client, i) => client.call("VSTORE.CACHE.GET", "plain", "FP32", query(i), "WITHIN", 0),
  [SCOPED]: (client, i) =>
    client.call("VSTORE.CACHE.GET", "scoped", "FP32", query(i), "WITHIN", 2, ...scope(i)),
  "CACHE.GET, the same PROMPT": (client, i) =>
    client.call("VSTORE.CACHE.GET", "plain", "FP32", query(i), "PROMPT", words[rowOf(i)]!, "WITHIN", 0),
};
const isHit = (name: string) => name !== "CACHE.GET, miss";

async function fill(clients: readonly Redis[], cache: string, scoped: boolean): Promise<void> {
  const options = scoped ? ["SCOPE", "1", "tenant"] : [];
  await clients[0]!.call("VSTORE.CACHE.CREATE", cache, "DIM", DIMENSIONS, ...options);
  await share(clients, words.length, (client, row) => {
    const rest = ["VALUE", VALUE, "PROMPT", words[row]!, ...(scoped ? scope(row) : [])];
    return client.call("VSTORE.CACHE.SET", cache, "FP32", blobOf(vectorOf(row)), ...rest);
  });
  await clients[0]!.call("VSTORE.BUILD", cache, "WAIT");
}

/** Microseconds of each call, one after the other. */
async function times(client: Redis, name: string): Promise<number[]> {
  const call = CALLS[name]!;
  const measured: number[] = [];
  for (let i = 0; i < CALLS_PER_ROUND; i++) {
    const start = performance.now();
    const reply = await call(client, i);
    measured.push((performance.now() - start) * 1000);
    if ((reply !== null) !== isHit(name)) throw new Error(`${name} got ${String(reply)}`);
  }
  return measured;
}

/** The rounds of the calls alternate, the first only warms up. */
async function measure(client: Redis): Promise<Row[]> {
  const names = Object.keys(CALLS);
  const rounds = new Map(names.map((name) => [name, { p50: [] as number[], p99: [] as number[] }]));
  for (let round = 0; round <= ROUNDS; round++)
    for (const name of names) {
      const measured = await times(client, name);
      if (round === 0) continue;
      rounds.get(name)!.p50.push(median(measured));
      rounds.get(name)!.p99.push(percentile(measured, 99));
    }
  return [...rounds].map(([name, { p50, p99 }]) => {
    const search = rounds.get(name === SCOPED ? FILTERED : "SEARCH")!.p50;
    return {
      call: name,
      "p50 us": Math.round(median(p50)),
      "p99 us": Math.round(median(p99)),
      "p50 of its SEARCH's": median(p50.map((each, round) => each / search[round]!)).toFixed(2),
    };
  });
}

/** How often the function behind the cache is called. */
async function callsOfMisses(client: Redis): Promise<number> {
  let calls = 0;
  const cache = new SemanticCache(client, "plain", { embed: () => vectorOf(0).map((each) => -each) });
  const ask = cache.wrap(async () => {
    calls++;
    return VALUE;
  });
  await Promise.all(Array.from({ length: CALLERS }, () => ask("what no entry answers")));
  return calls;
}

await withVstore(async ({ url }) => {
  await loadSample(url, () => {});
  await withClients(url, FILLING, async (clients) => {
    await clients[0]!.call("VSTORE.BUILD", "words", "WAIT");
    await fill(clients, "plain", false);
    await fill(clients, "scoped", true);
  });
  await withClients(url, 1, async ([client]) => {
    const rows = await measure(client!);
    const calls = await callsOfMisses(client!);
    if (calls !== 1) throw new Error(`${CALLERS} concurrent misses of one question made ${calls} calls`);
    report({
      workload: "cache",
      aim: `p50 of CACHE.GET at most ${BAR} times SEARCH's; ${words.length} words, ${DIMENSIONS} dimensions; ${CALLERS} concurrent misses of one question made ${calls} call`,
      rows,
    });
  });
});
