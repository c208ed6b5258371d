/** The ingest queue as a producer sees it: BullMQ's own Queue. */

import { Queue } from "bullmq";
import { fp32 } from "./fp32.ts";
import { until } from "./serving.ts";

export interface IngestReturn {
  inserted: number;
  updated: number;
  failedCount: number;
  failed: { index: number; reason: string }[];
}

export function openQueue(url: string): Queue {
  const { hostname: host, port } = new URL(url);
  const connection = { host, port: Number(port), retryStrategy: () => 50 };
  const queue = new Queue("vstore-ingest", { connection, prefix: "vstore:bull" });
  queue.on("error", () => {});
  return queue;
}

/** Adds a job and waits until it is done. */
export async function ingest(queue: Queue, data: unknown, options = {}): Promise<IngestReturn> {
  const { id } = await queue.add("items", data, options);
  const state = await until(
    () => queue.getJobState(id!),
    (now) => now === "completed" || now === "failed",
  );
  const job = await queue.getJob(id!);
  if (state === "failed") throw new Error(job!.failedReason);
  return job!.returnvalue;
}

/** What a producer sends as a vector. */
export const base64 = (...components: number[]): string => fp32(...components).toString("base64");
