/**
 * Ingestion, in a thread of its own: parsing the JSON of a job of 500 vectors would block the event loop that answers
 * searches for too long. It shares nothing with that loop except the Redis it talks to. Started by ingestion.ts, it
 * ends when it is told to stop, and when its connection does.
 */
import { parentPort, workerData } from "node:worker_threads";
import { createLog, takeOverConsole } from "../../log.ts";
import { connect } from "../redis/connection.ts";
import { setNodeTag } from "../redis/keys.ts";
import { IngestClient } from "./client.ts";
import type { IngestionData } from "./ingestion.ts";
import { IngestProcessor } from "./processor.ts";
import { IngestQueue } from "./queue.ts";

const { options, nodeTag } = workerData as IngestionData;
const { url, logLevel, ...settings } = options;
setNodeTag(nodeTag);
const log = createLog(logLevel);
// The main thread talks to the same Redis through the same libraries, and logs their warnings.
takeOverConsole(log, "debug");
const stop = new AbortController();
const redis = await connect(url, "vstore-bullmq-ingest", {
  enableOfflineQueue: true,
  socketTimeout: undefined,
});
const client = new IngestClient(url, log, stop.signal);
const processor = new IngestProcessor(client, settings, stop.signal);
const queue = new IngestQueue(redis, settings, (job, token) => processor.run(job, token), log);

redis.once("close", () => process.exit(1));
parentPort!.once("message", async () => {
  stop.abort();
  await queue.close();
  process.exit(0);
});
