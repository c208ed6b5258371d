/**
 * When collections are compacted: a BullMQ job for each that a checkpoint found with too many dead slots, one at a time
 * because a compaction builds an index. A failed one is tried again after a later checkpoint.
 */
import { Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import type { Catalog } from "../engine/catalog.ts";
import type { Collection } from "../engine/collection.ts";
import type { Logger } from "../log.ts";
import { bullPrefix } from "./streams.ts";

const queueName = "vstore-compaction";
/** Share of the slots that may be dead. */
const deadShareMax = 0.3;
/** Dead slots that are not worth the work, whatever their share. */
const deadSlotsMin = 1_000;

type Job = { collection: string };

export class Compactions {
  readonly #catalog: Catalog;
  readonly #log: Logger;
  readonly #queue: Queue<Job>;
  readonly #worker: Worker<Job>;

  /** @param redis a connection that BullMQ duplicates for its worker; closed by its owner */
  constructor(redis: Redis, catalog: Catalog, log: Logger) {
    const options = { connection: redis, prefix: bullPrefix };
    this.#catalog = catalog;
    this.#log = log;
    this.#queue = new Queue(queueName, options);
    this.#worker = new Worker(queueName, (job) => this.#compact(job.data.collection), options);
    this.#queue.on("error", (error) => this.#complain(error));
    this.#worker.on("error", (error) => this.#complain(error));
  }

  /** Asks for a compaction if the collection needs one; asking twice is asking once. */
  async offer(collection: Collection): Promise<void> {
    const { deadShare, deadSlots, name } = collection;
    if (deadShare <= deadShareMax || deadSlots < deadSlotsMin) return;
    const options = { jobId: encodeURIComponent(name), removeOnComplete: true, removeOnFail: true };
    await this.#queue.add("compact", { collection: name }, options).catch((error) => this.#complain(error));
  }

  async stop(): Promise<void> {
    await Promise.allSettled([this.#worker.close(true), this.#queue.close()]);
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

  /** Quiet, because a lost connection ends the session as well, and that is logged once for all of them. */
  #complain(error: Error): void {
    this.#log.debug({ error: error.message }, "the compaction queue");
  }
}
