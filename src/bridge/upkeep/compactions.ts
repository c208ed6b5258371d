/**
 * When collections are compacted: a BullMQ job for each that a checkpoint found with too many dead slots, one at a time
 * because a compaction builds an index. A failed one is tried again after a later checkpoint.
 */
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import type { Logger } from "../../log.ts";
import { JobQueue } from "../redis/job-queue.ts";

const queueName = "vstore-compaction";
/** Share of the slots that may be dead. */
const deadShareMax = 0.3;
/** Dead slots that are not worth the work, whatever their share. */
const deadSlotsMin = 1_000;

export class Compactions {
  readonly #catalog: Catalog;
  readonly #log: Logger;
  readonly #jobs: JobQueue;

  /** @param redis as JobQueue takes it */
  constructor(redis: Redis, catalog: Catalog, log: Logger) {
    this.#catalog = catalog;
    this.#log = log;
    this.#jobs = new JobQueue(redis, queueName, (job) => this.#compact(job.collection!), log);
  }

  /** Asks for a compaction if the collection needs one; asking twice is asking once. */
  async offer(collection: Collection): Promise<void> {
    if (!isWorthCompacting(collection)) return;
    const { name } = collection;
    const options = { jobId: encodeURIComponent(name), removeOnComplete: true, removeOnFail: true };
    const { queue } = this.#jobs;
    await queue.add("compact", { collection: name }, options).catch((error) => this.#jobs.complain(error));
  }

  stop(): Promise<void> {
    return this.#jobs.stop();
  }

  async #compact(name: string): Promise<void> {
    const collection = this.#catalog.find(name);
    if (collection === undefined) return;
    const before = collection.deadSlots;
    try {
      await collection.compact();
      this.#log.info({ collection: name, dropped: before - collection.deadSlots }, "compaction");
    } catch (error) {
      this.#log.warn({ collection: name, error: (error as Error).message }, "a compaction failed");
    }
  }
}

export function isWorthCompacting({ deadShare, deadSlots }: Collection): boolean {
  return deadShare > deadShareMax && deadSlots >= deadSlotsMin;
}
