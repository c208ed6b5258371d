/**
 * A BullMQ queue of the sidecar's own, with the worker that runs its jobs one at a time: shared by checkpoints,
 * compactions and sweeps.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Job, Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import { LimitedLog, type Logger } from "../../log.ts";
import { bullPrefix } from "./keys.ts";

/** The collection that a job is about; none for all collections. */
export type JobData = { collection?: string };

/** Of this process, for VSTORE.INFO. */
export const jobFailures = { count: 0 };

export class JobQueue {
  readonly queue: Queue<JobData>;
  readonly #worker: PatientWorker<JobData>;
  readonly #log: Logger;
  readonly #lines: LimitedLog;

  /** @param redis a connection that BullMQ duplicates for its worker; closed by its owner */
  constructor(redis: Redis, name: string, run: (data: JobData) => Promise<void>, log: Logger) {
    const options = { connection: redis, prefix: bullPrefix };
    this.#log = log;
    this.#lines = new LimitedLog(log);
    this.queue = new Queue(name, options);
    this.#worker = new PatientWorker(name, (job) => run(job.data), options);
    this.queue.on("error", (error) => this.complain(error));
    this.#worker.on("error", (error) => this.complain(error));
    this.#worker.on("failed", (job, { message }) =>
      this.#fail({ queue: name, collection: job?.data.collection, error: message }),
    );
  }

  /** Quiet where the connection was lost: that ends the session as well, and is logged once for all of them. */
  complain(error: Error): void {
    const details = { queue: this.queue.name, error: error.message };
    if (error.name === "ReplyError") this.#fail(details);
    else this.#log.debug(details, "a job queue");
  }

  #fail(details: object): void {
    jobFailures.count++;
    this.#lines.warn({ ...details, job_failures: jobFailures.count }, "a job failed, or could not be made");
  }

  async stop(): Promise<void> {
    await Promise.allSettled([this.#worker.close(true), this.queue.close()]);
  }
}

/** BullMQ asks again at once when Redis refuses to hand out a job, for lack of memory say. */
const refusedPauseMs = 1_000;

/** A BullMQ worker that pauses before it asks a Redis that refused it again. */
export class PatientWorker<Data, Result = void> extends Worker<Data, Result> {
  protected override async moveToActive(token: string, name?: string): Promise<Job<Data, Result>> {
    try {
      return await super.moveToActive(token, name);
    } catch (error) {
      await delay(refusedPauseMs);
      throw error;
    }
  }
}
