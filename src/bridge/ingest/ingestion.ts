/**
 * Ingestion as the serving session sees it: a thread that consumes the ingest queue from the moment clients are served
 * until they no longer are. When it fails it is started again; the service goes on without it.
 */
import { once } from "node:events";
import { extname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { Logger, LogLevel } from "../../log.ts";
import type { ProcessorOptions } from "./processor.ts";
import type { IngestQueueOptions } from "./queue.ts";

export type IngestSettings = IngestQueueOptions & ProcessorOptions;

export interface IngestionOptions extends IngestSettings {
  readonly url: string;
  readonly logLevel: LogLevel;
}

/** Time for the answers that jobs under way still wait for. */
const stopMsMax = 2_000;
const restartMs = 1_000;

const program = new URL(`thread${extname(import.meta.url)}`, import.meta.url);

export class Ingestion {
  readonly #options: IngestionOptions;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #thread: Worker | undefined;
  readonly #ended: Promise<void>;

  constructor(options: IngestionOptions, log: Logger) {
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
    while (!this.#stop.signal.aborted) {
      await this.#runOnce();
      await delay(restartMs, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  async #runOnce(): Promise<void> {
    try {
      const thread = new Worker(program, { workerData: this.#options });
      this.#thread = thread;
      thread.on("error", (error) => this.#log.error({ error: error.message }, "ingestion failed"));
      await once(thread, "exit").catch(() => {});
    } catch (error) {
      this.#log.error({ error: (error as Error).message }, "ingestion could not be started");
    }
  }
}
