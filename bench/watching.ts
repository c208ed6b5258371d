/**
 * What it costs to be watched: SEARCH by eight connections while /metrics and the figures of the page are fetched once
 * a second, beside the same without. The ratio is of rounds that alternate.
 */
import { freePort } from "../harness/free-port.ts";
import { startVstore } from "../harness/sidecar.ts";
import { DIMENSIONS, loadWords } from "../harness/words.ts";
import { loadSample } from "../src/bridge/client/sample.ts";
import { alternate, report } from "./harness.ts";
import { withClients } from "./through-redis.ts";

const ROUNDS = 7;
const ROUND_MS = 4_000;
const CONNECTIONS = 8;
const EVERY_MS = 1_000;
const PATHS = ["/metrics", "/api/overview"];
const COLLECTION = "words";

const words = loadWords();
const query = (i: number) => {
  const row = words.queries[i % words.queries.length]!;
  return Buffer.from(words.vectors.buffer, row * DIMENSIONS * 4, DIMENSIONS * 4);
};

const port = await freePort();
const { url, stop } = await startVstore({}, { args: ["--http-port", String(port)] });
let fetched = 0;
let bytes = 0;

async function fetchAll(): Promise<void> {
  for (const path of PATHS) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    bytes += (await response.arrayBuffer()).byteLength;
    fetched++;
  }
}

/** Searches per second. */
function searches(isWatched: boolean): Promise<number> {
  return withClients(url, CONNECTIONS, async (clients) => {
    const start = performance.now();
    let done = 0;
    const fetches: Promise<void>[] = [];
    const timer = isWatched ? setInterval(() => fetches.push(fetchAll()), EVERY_MS) : undefined;
    const work = async (client: (typeof clients)[number]) => {
      while (performance.now() - start < ROUND_MS)
        await client.call("VSTORE.SEARCH", COLLECTION, "FP32", query(done++), "COUNT", 10);
    };
    await Promise.all(clients.map(work));
    clearInterval(timer);
    const rate = (done / (performance.now() - start)) * 1_000;
    await Promise.all(fetches);
    return rate;
  });
}

try {
  await loadSample(url, () => {});
  await withClients(url, 1, ([client]) => client!.call("VSTORE.BUILD", COLLECTION, "WAIT"));
  const { ours, ceiling, ratio } = await alternate(
    ROUNDS,
    () => searches(true),
    () => searches(false),
  );
  const row = {
    "watched, searches/s": Math.round(ours),
    "unwatched, searches/s": Math.round(ceiling),
    ratio: ratio.toFixed(3),
    fetched,
    "KB each": (bytes / fetched / 1_000).toFixed(1),
  };
  report({ workload: "watching", aim: "0.98 of the rate without", rows: [row] });
} finally {
  await stop();
}
