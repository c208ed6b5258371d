/**
 * When checkpoints are due: one BullMQ job scheduler per collection in the same Redis, so that any BullMQ tool
 * shows them, and one worker. It lives as long as a session. Without it vstore still serves; checkpoints then come
 * by log size and by VSTORE.CHECKPOINT only.
 */
import { Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import type { Logger } from "../log.ts";
import { bullPrefix } from "./streams.ts";

const queueName = "vstore-checkpoint";
/** Finished jobs that stay visible in the queue. */
const finishedJobsMax = 100;

type Job = { collection: string };

export class Schedule {
  readonly #queue: Queue<Job>;
  readonly #worker: Worker<Job>;
  readonly #redis: Redis;
  readonly #intervalMs: number;
  readonly #log: Logger;
  readonly #scheduled = new Set<string>();
  #last: Promise<void> = Promise.resolve();

  /** @param redis a connection of its own, which BullMQ duplicates for its worker; closed with the schedule */
  constructor(redis: Redis, intervalMs: number, run: (collection: string) => Promise<void>, log: Logger) {
    const options = { connection: redis, prefix: bullPrefix };
    this.#redis = redis;
    this.#intervalMs = intervalMs;
    this.#log = log;
    this.#queue = new Queue(queueName, options);
    this.#worker = new Worker(queueName, (job) => run(job.data.collection), options);
    this.#queue.on("error", (error) => this.#complain(error));
    this.#worker.on("error", (error) => this.#complain(error));
  }

  /** Forgets the schedules of collections that were dropped while no sidecar was there. */
  async start(collections: readonly string[]): Promise<void> {
    for (const { key } of await this.#queue.getJobSchedulers()) this.#scheduled.add(collectionOf(key));
    this.follow(collections);
    // The interval may have been changed since the others were scheduled.
    for (const name of collections) await this.#schedule(name);
  }

  /** Makes the set of schedules equal to the set of collections. */
  follow(collections: readonly string[]): void {
    this.#last = this.#last
      .then(() => this.#follow(new Set(collections)))
      .catch((error) => this.#complain(error));
  }

  async stop(): Promise<void> {
    await Promise.allSettled([this.#worker.close(true), this.#queue.close()]);
    this.#redis.disconnect();
  }

  async #follow(wanted: ReadonlySet<string>): Promise<void> {
    for (const name of [...this.#scheduled].filter((each) => !wanted.has(each))) {
      await this.#queue.removeJobScheduler(idOf(name));
      this.#scheduled.delete(name);
    }
    for (const name of [...wanted].filter((each) => !this.#scheduled.has(each))) await this.#schedule(name);
  }

  async #schedule(collection: string): Promise<void> {
    const opts = { removeOnComplete: { count: finishedJobsMax }, removeOnFail: { count: finishedJobsMax } };
    const template = { name: "checkpoint", data: { collection }, opts };
    await this.#queue.upsertJobScheduler(idOf(collection), { every: this.#intervalMs }, template);
    this.#scheduled.add(collection);
  }

  /** Quiet, because a lost connection ends the session as well, and that is logged once for all of them. */
  #complain(error: Error): void {
    this.#log.debug({ error: error.message }, "the checkpoint schedule");
  }
}

/** BullMQ gives colons a meaning of their own. */
const idOf = (collection: string): string => encodeURIComponent(collection);
const collectionOf = (id: string): string => decodeURIComponent(id);
