/**
 * One job of the ingest queue, from its text to its result: INFO says what vectors the collection takes, the items are
 * checked one by one, and the good ones go into the log by MINSERT. The job is done when the last of them was answered,
 * so its vectors are then as safe as those of any other client.
 */
import { WaitingError } from "bullmq";
import { toWireError } from "../../commands/wire/wire-error.ts";
import type { VectorShape } from "../../engine/input.ts";
import type { Metric } from "../../engine/options.ts";
import { type Batch, toBatches } from "./batches.ts";
import { type IngestClient, RefusedError } from "./client.ts";
import { checkItem, type Item } from "./item.ts";
import { type IngestResult, type JobLimits, RefusedJob, readJob } from "./job.ts";
import type { QueuedJob } from "./queue.ts";

/** Bad items that a job's result names. */
const namedFailuresMax = 100;

export interface ProcessorOptions extends JobLimits {
  /** Items of one MINSERT. */
  readonly batchItems: number;
}

interface Checked {
  readonly good: Item[];
  readonly bad: { index: number; reason: string }[];
}

export class IngestProcessor {
  readonly #client: IngestClient;
  readonly #options: ProcessorOptions;
  readonly #stop: AbortSignal;

  constructor(client: IngestClient, options: ProcessorOptions, stop: AbortSignal) {
    this.#client = client;
    this.#options = options;
    this.#stop = stop;
  }

  /**
   * @throws {RefusedJob} when the job itself is refused; WaitingError when it went back into the queue because
   *   of a stop
   */
  async run(job: QueuedJob, token: string): Promise<IngestResult> {
    try {
      return await this.#ingest(job);
    } catch (error) {
      if (error instanceof RefusedError) throw new RefusedJob(error.message);
      if (!this.#stop.aborted) throw error;
      await job.moveToWait(token);
      throw new WaitingError();
    }
  }

  async #ingest(job: QueuedJob): Promise<IngestResult> {
    const { collection, items } = readJob(job.data as string, this.#options);
    const { good, bad } = checkItems(items, await this.#shapeOf(collection));
    const inserted = await this.#insert(job, collection, toBatches(good, this.#options.batchItems));
    job.data = { collection, items: items.length };
    const failed = bad.slice(0, namedFailuresMax);
    return { inserted, updated: good.length - inserted, failedCount: bad.length, failed };
  }

  async #shapeOf(collection: string): Promise<VectorShape> {
    const flat = (await this.#client.call("VSTORE.INFO", collection)) as (string | number)[];
    const fact = (name: string) => flat[flat.indexOf(name) + 1];
    return { dimensions: fact("dimensions") as number, metric: fact("metric") as Metric };
  }

  /** Returns how many keys were new. */
  async #insert(job: QueuedJob, collection: string, batches: readonly Batch[]): Promise<number> {
    let inserted = 0;
    for (const [done, { args }] of batches.entries()) {
      this.#stop.throwIfAborted();
      if (done > 0) await showProgress(job, done / batches.length);
      inserted += (await this.#client.call("VSTORE.MINSERT", collection, ...args)) as number;
    }
    return inserted;
  }
}

/** As a percentage, which is what BullMQ's tools show. Nothing depends on it. */
async function showProgress(job: QueuedJob, share: number): Promise<void> {
  await job.updateProgress(Math.floor(100 * share)).catch(() => {});
}

function checkItems(items: readonly unknown[], shape: VectorShape): Checked {
  const checked: Checked = { good: [], bad: [] };
  for (const [index, item] of items.entries()) {
    try {
      checked.good.push(checkItem(item, shape));
    } catch (error) {
      checked.bad.push({ index, reason: toWireError(error) });
    }
  }
  return checked;
}
