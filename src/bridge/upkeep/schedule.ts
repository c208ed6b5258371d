/**
 * When checkpoints are due: one BullMQ job scheduler per collection in the same Redis, so that any BullMQ tool
 * shows them, and one worker. It lives as long as a session. Without it vstore still serves; checkpoints then come
 * by log size and by VSTORE.CHECKPOINT only.
 */
import type { Redis } from "ioredis";
import type { Logger } from "../../log.ts";
import { JobQueue } from "../redis/job-queue.ts";

const queueName = "vstore-checkpoint";
/** Finished jobs that stay visible in the queue. */
const finishedJobsMax = 100;

export class Schedule {
  readonly #jobs: JobQueue;
  readonly #redis: Redis;
  readonly #intervalMs: number;
  readonly #scheduled = new Set<string>();
  #last: Promise<void> = Promise.resolve();

  /** @param redis a connection of its own, which BullMQ duplicates for its worker; closed with the schedule */
  constructor(redis: Redis, intervalMs: number, run: (collection: string) => Promise<void>, log: Logger) {
    this.#redis = redis;
    this.#intervalMs = intervalMs;
    this.#jobs = new JobQueue(redis, queueName, (job) => run(job.collection!), log);
  }

  /** Forgets the schedules of collections that were dropped while no sidecar was there, and ids that no collection has. */
  async start(collections: readonly string[]): Promise<void> {
    for (const { key } of await this.#jobs.queue.getJobSchedulers()) {
      const name = collectionOf(key);
      if (name === undefined) await this.#attempt(() => this.#jobs.queue.removeJobScheduler(key));
      else this.#scheduled.add(name);
    }
    this.follow(collections);
    // The interval may have been changed since the others were scheduled.
    for (const name of collections) await this.#attempt(() => this.#schedule(name));
  }

  /** Makes the set of schedules equal to the set of collections. */
  follow(collections: readonly string[]): void {
    this.#last = this.#last
      .then(() => this.#follow(new Set(collections)))
      .catch((error) => this.#jobs.complain(error));
  }

  async stop(): Promise<void> {
    await this.#jobs.stop();
    this.#redis.disconnect();
  }

  async #follow(wanted: ReadonlySet<string>): Promise<void> {
    for (const name of [...this.#scheduled].filter((each) => !wanted.has(each))) {
      await this.#attempt(() => this.#jobs.queue.removeJobScheduler(idOf(name)));
      this.#scheduled.delete(name);
    }
    for (const name of [...wanted].filter((each) => !this.#scheduled.has(each)))
      await this.#attempt(() => this.#schedule(name));
  }

  /** What is broken of one schedule must not keep the others from being made. */
  async #attempt(change: () => Promise<unknown>): Promise<void> {
    await change().catch((error) => this.#jobs.complain(error));
  }

  async #schedule(collection: string): Promise<void> {
    const opts = { removeOnComplete: { count: finishedJobsMax }, removeOnFail: { count: finishedJobsMax } };
    const template = { name: "checkpoint", data: { collection }, opts };
    await this.#jobs.queue.upsertJobScheduler(idOf(collection), { every: this.#intervalMs }, template);
    this.#scheduled.add(collection);
  }
}

/** BullMQ gives colons a meaning of their own. */
const idOf = (collection: string): string => encodeURIComponent(collection);

/** Undefined for an id that is not of ours. */
function collectionOf(id: string): string | undefined {
  try {
    return decodeURIComponent(id);
  } catch {
    return undefined;
  }
}
