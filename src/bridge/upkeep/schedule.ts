/**
 * When checkpoints are due: a BullMQ job scheduler in the same Redis, so that any BullMQ tool shows it, and one worker.
 * Its job is for all collections, as most have not changed since the last one. It lives as long as a session. Without
 * it vstore still serves; checkpoints then come late, by log size and by VSTORE.CHECKPOINT.
 */
import type { Redis } from "ioredis";
import type { Logger } from "../../log.ts";
import { JobQueue } from "../redis/job-queue.ts";

const queueName = "vstore-checkpoint";
const schedulerId = "checkpoint";
/** Finished jobs that stay visible in the queue. */
const finishedJobsMax = 100;

export class Schedule {
  readonly #jobs: JobQueue;
  readonly #redis: Redis;
  readonly #intervalMs: number;

  /** @param redis a connection of its own, which BullMQ duplicates for its worker; closed with the schedule */
  constructor(redis: Redis, intervalMs: number, run: () => Promise<void>, log: Logger) {
    this.#redis = redis;
    this.#intervalMs = intervalMs;
    this.#jobs = new JobQueue(redis, queueName, run, log);
  }

  /** Forgets every other schedule: one by collection, as there were once, or an id that a client put there. */
  async start(): Promise<void> {
    const { queue } = this.#jobs;
    const opts = { removeOnComplete: { count: finishedJobsMax }, removeOnFail: { count: finishedJobsMax } };
    // Always, as the interval may have been changed.
    await this.#attempt(() =>
      queue.upsertJobScheduler(schedulerId, { every: this.#intervalMs }, { name: "checkpoint", opts }),
    );
    for (const { key } of await queue.getJobSchedulers())
      if (key !== schedulerId) await this.#attempt(() => queue.removeJobScheduler(key));
  }

  async stop(): Promise<void> {
    await this.#jobs.stop();
    this.#redis.disconnect();
  }

  /** What is broken of one schedule must not keep the others from being made. */
  async #attempt(change: () => Promise<unknown>): Promise<void> {
    await change().catch((error) => this.#jobs.complain(error));
  }
}
