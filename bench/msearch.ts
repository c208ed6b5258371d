/** VSTORE.MSEARCH of 64 queries through Redis beside the same searches in this process, on all cores. */
import * as fs from "node:fs";
import * as os from "node:os";
import type { Redis } from "ioredis";
import { DIMENSIONS, loadWords } from "../harness/words.ts";
import { loadSample } from "../src/bridge/client/sample.ts";
import { MmapVectorStore } from "../src/index.ts";
import { alternate, rate, report } from "./harness.ts";
import { withClients, withVstore } from "./through-redis.ts";

const QUERIES = 64;
const CALLS = Number(process.env.CALLS ?? 100);
const ROUNDS = Number(process.env.ROUNDS ?? 7);
const CONNECTIONS = 2;
const K = 10;

const { words, vectors, vector, queries } = loadWords();
const batch = new Float32Array(QUERIES * DIMENSIONS);
for (let i = 0; i < QUERIES; i++) batch.set(vector(queries[i % queries.length]!), i * DIMENSIONS);
const blob = Buffer.from(batch.buffer);

/** Calls by callers that each await one before the next. */
async function calls(call: (caller: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const caller = async (number: number) => {
    while (next++ < CALLS) await call(number);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, number) => caller(number)));
}

const throughRedis = (clients: readonly Redis[]) => () =>
  rate(CALLS * QUERIES, () =>
    calls((caller) => clients[caller]!.call("VSTORE.MSEARCH", "words", QUERIES, "FP32", blob, "COUNT", K)),
  );

const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
const store = await MmapVectorStore.open(directory, { dimensions: DIMENSIONS });
try {
  store.insertBatch(words, vectors);
  await store.buildIndex();
  const inProcess = () => rate(CALLS * QUERIES, () => calls(() => store.searchMany(batch, { k: K })));
  await withVstore(async ({ url }) => {
    await loadSample(url, () => {});
    await withClients(url, CONNECTIONS, async (clients) => {
      await clients[0]!.call("VSTORE.BUILD", "words", "WAIT");
      const { ours, ceiling, ratio } = await alternate(ROUNDS, throughRedis(clients), inProcess);
      report({
        workload: "msearch",
        aim: "0.6 of the in-process rate",
        rows: [
          {
            "queries/s through Redis": Math.round(ours),
            "queries/s in process": Math.round(ceiling),
            "of in-process": ratio.toFixed(2),
          },
        ],
      });
    });
  });
} finally {
  await store.close();
  fs.rmSync(directory, { recursive: true });
}
