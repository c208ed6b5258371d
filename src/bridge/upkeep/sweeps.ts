/**
 * When expired keys are removed: a BullMQ job, once a second while there are keys with a deadline, looks for
 * collections with expired ones and asks for their removal in their logs, as any writer would. So the files change by
 * the log alone.
 */
import type { Redis } from "ioredis";
import { sweep, sweepKeysMax } from "../../commands/internal/sweep.ts";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import type { Logger } from "../../log.ts";
import { JobQueue } from "../redis/job-queue.ts";
import { logStream } from "../redis/keys.ts";
import { ignoreElsewhere } from "../redis/node.ts";

const queueName = "vstore-sweep";
const schedulerId = "sweep";
const everyMs = 1_000;
/** Entries in one log each time: the rest waits for the next time. */
const entriesMax = 100;

export class Sweeps {
  readonly #writer: Redis;
  readonly #catalog: Catalog;
  readonly #jobs: JobQueue;
  /** Whether the job is scheduled; unknown at first, since an earlier session may have left it. */
  #isScheduled: boolean | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param redis as JobQueue takes it
   * @param writer the connection over which the leader writes
   */
  constructor(redis: Redis, writer: Redis, catalog: Catalog, log: Logger) {
    this.#writer = writer;
    this.#catalog = catalog;
    this.#jobs = new JobQueue(redis, queueName, () => this.#sweep(), log);
  }

  /** Schedules the job while there is something that it may have to do. Nothing here waits for BullMQ. */
  async follow(): Promise<void> {
    const isWanted = this.#catalog.collections().some(({ lifetimes }) => lifetimes.expiring > 0);
    if (isWanted === this.#isScheduled) return;
    this.#isScheduled = isWanted;
    this.#last = this.#last
      .then(() => (isWanted ? this.#schedule() : this.#jobs.queue.removeJobScheduler(schedulerId)))
      .catch((error) => {
        this.#isScheduled = undefined;
        this.#jobs.complain(error);
      });
  }

  stop(): Promise<void> {
    return this.#jobs.stop();
  }

  #schedule(): Promise<unknown> {
    const opts = { removeOnComplete: true, removeOnFail: true };
    return this.#jobs.queue.upsertJobScheduler(schedulerId, { every: everyMs }, { name: "sweep", opts });
  }

  async #sweep(): Promise<void> {
    for (const collection of this.#catalog.collections()) await this.#ask(collection);
  }

  async #ask({ name, lifetimes }: Collection): Promise<void> {
    await lifetimes.hideExpired();
    const entries = Math.min(Math.ceil(lifetimes.expired / sweepKeysMax), entriesMax);
    const fields = ["cmd", sweep.name, "at", this.#catalog.clock(), "0", name];
    for (let i = 0; i < entries; i++) {
      // NOMKSTREAM: a log that was dropped, or has vanished, must not be created again.
      await this.#writer.xadd(logStream(name), "NOMKSTREAM", "*", ...fields).catch(ignoreElsewhere);
    }
  }
}
