/**
 * The ingest queue as BullMQ has it. A fault of the job itself fails it at once. Any other trouble (a sidecar that
 * died, a Redis that is full) leaves it to be run again, which is harmless because a job is idempotent. Finished jobs
 * stay visible up to a number, and without their vectors: those are in the store, and Redis' memory stays flat.
 */
import { type Job, type JobJson, UnrecoverableError, WaitingError } from "bullmq";
import type { Redis } from "ioredis";
import type { Logger } from "../../log.ts";
import { PatientWorker } from "../redis/job-queue.ts";
import { bullPrefix } from "../redis/keys.ts";
import { FailedPayloads } from "./failed-payloads.ts";
import { type IngestResult, MalformedJob } from "./job.ts";

const queueName = "vstore-ingest";
/** Every producer writes one of these with its first job at the latest. They stay when the queue is empty. */
export const ingestQueueKeys = () => ["meta", "id"].map((key) => `${bullPrefix}:${queueName}:${key}`);
/** How long a job belongs to a sidecar that gives no sign of life. */
const lockMs = 5_000;
const stalledCheckMs = 1_000;
/** A job that was under way when so many sidecars died is given up. */
const stallsMax = 100;
/** Finished jobs that stay in the queue. */
const completedJobsMax = 1_000;
const failedJobsMax = 10_000;
/** A malformed job up to this size is kept as it came: worthless when retried, it helps to see what was sent. */
const malformedBytesMax = 4 * 1024;

/** The JSON text that came, and what is left of it once it has been stored. */
export type IngestData = string | { collection: string; items: number } | { bytes: number };
export type QueuedJob = Job<IngestData, IngestResult>;

export interface IngestQueueOptions {
  /** Jobs under way at the same time. */
  readonly concurrency: number;
  /** Jobs begun in a second; undefined for as many as there are. */
  readonly jobsPerSecond: number | undefined;
}

export class IngestQueue extends PatientWorker<IngestData, IngestResult> {
  /** @param redis a connection that BullMQ duplicates; closed by its owner */
  constructor(
    redis: Redis,
    { concurrency, jobsPerSecond }: IngestQueueOptions,
    run: (job: QueuedJob, token: string) => Promise<IngestResult>,
    log: Logger,
  ) {
    super(queueName, (job, token) => run(job, token!), {
      connection: redis,
      prefix: bullPrefix,
      concurrency,
      ...(jobsPerSecond === undefined ? {} : { limiter: { max: jobsPerSecond, duration: 1_000 } }),
      lockDuration: lockMs,
      stalledInterval: stalledCheckMs,
      maxStalledCount: stallsMax,
      removeOnComplete: { count: completedJobsMax },
      removeOnFail: { count: failedJobsMax },
    });
    this.on("error", (error) => log.debug({ error: error.message }, "the ingest queue"));
    this.on("completed", (job) => void keepData(job, job.data));
    const payloads = new FailedPayloads(redis, (name) => this.toKey(name), log);
    this.on("failed", (job, error) => {
      if (job === undefined) return;
      const bytes = bytesOf(job);
      if (error instanceof MalformedJob && bytes > malformedBytesMax) void keepData(job, { bytes });
      else void payloads.add(job.id!, bytes);
    });
  }

  /**
   * Leaves the data as text: data that are no JSON must fail the job and not the worker, and may be too long to parse.
   */
  protected override createJob(json: JobJson, id: string): QueuedJob {
    const job = super.createJob({ ...json, data: "{}" }, id);
    job.data = json.data;
    return job;
  }

  /**
   * Does not fetch the next job in the same round trip: BullMQ compares such a reply with a number, which makes one
   * text of all of it, and costs as much time as parsing the job.
   */
  protected override handleCompleted(
    result: IngestResult,
    job: QueuedJob,
    token: string,
  ): Promise<QueuedJob> {
    return super.handleCompleted(result, job, token, fetchNothing);
  }

  /** A job that is left alone here is handed out again when its lock has run out. */
  protected override async handleFailed(error: Error, job: QueuedJob, token: string): Promise<QueuedJob> {
    if (error instanceof UnrecoverableError || error instanceof WaitingError) {
      return super.handleFailed(error, job, token, fetchNothing);
    }
    this.emit("error", error);
    return undefined as unknown as QueuedJob; // as BullMQ does when there is no next job
  }
}

const fetchNothing = () => false;

function bytesOf(job: QueuedJob): number {
  return typeof job.data === "string" ? Buffer.byteLength(job.data) : 0;
}

/** Best effort: the job may be gone already, as its producer wished. */
async function keepData(job: QueuedJob, data: IngestData): Promise<void> {
  await job.updateData(data).catch(() => {});
}
