/**
 * Ingestion as the serving session sees it: a thread that consumes the ingest queue while clients are served. It is
 * started once Redis has a queue, as it takes a third of the sidecar's start and tens of MB, which most stores never
 * need. When it fails it is started again; the service goes on without it.
 */
import { once } from "node:events";
import { extname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { Redis } from "ioredis";
import type { Logger, LogLevel } from "../../log.ts";
import { nodeTag } from "../redis/keys.ts";
import type { ProcessorOptions } from "./processor.ts";
import { type IngestQueueOptions, ingestQueueKeys } from "./queue.ts";

export type IngestSettings = IngestQueueOptions & ProcessorOptions;

export interface IngestionOptions extends IngestSettings {
  readonly url: string;
  readonly logLevel: LogLevel;
}

/** What the thread is told. */
export interface IngestionData {
  readonly options: IngestionOptions;
  readonly nodeTag: string;
}

/** Time for the answers that jobs under way still wait for. */
const stopMsMax = 2_000;
const restartMs = 1_000;
/** Between two looks whether a producer has made the queue. */
const lookMs = 1_000;

const program = new URL(`thread${extname(import.meta.url)}`, import.meta.url);

export class Ingestion {
  readonly #redis: Redis;
  readonly #options: IngestionOptions;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #thread: Worker | undefined;
  readonly #ended: Promise<void>;

  /** @param redis is asked whether there is a queue; the thread has connections of its own */
  constructor(redis: Redis, options: IngestionOptions, log: Logger) {
    this.#redis = redis;
    this.#options = options;
    this.#log = log;
    this.#ended = this.#run();
  }

  /** Lets jobs under way finish, or go back into the queue. Never rejects. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#thread?.postMessage("stop");
    const timely = await Promise.race([this.#ended, delay(stopMsMax, "late", { ref: false })]);
    if (timely === "late") await this.#thread?.terminate();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted && !(await this.#isThereAQueue())) await this.#pause(lookMs);
    while (!this.#stop.signal.aborted) {
      await this.#runOnce();
      await this.#pause(restartMs);
    }
  }

  /** A connection that fails ends the session, and this with it. */
  async #isThereAQueue(): Promise<boolean> {
    return (await this.#redis.exists(...ingestQueueKeys()).catch(() => 0)) > 0;
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
  }

  async #runOnce(): Promise<void> {
    try {
      const data: IngestionData = { options: this.#options, nodeTag };
      const thread = new Worker(program, { workerData: data });
      this.#thread = thread;
      thread.on("error", (error) => this.#log.error({ error: error.message }, "ingestion failed"));
      await once(thread, "exit").catch(() => {});
    } catch (error) {
      this.#log.error({ error: (error as Error).message }, "ingestion could not be started");
    }
  }
}
