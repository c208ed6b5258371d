/**
 * Answers the reads of a replica with the files of a follower, for as long as the process lives and the Redis is a
 * replica. It goes on while the primary, or the sidecar's session with it, is gone: reads are then as old as the files.
 * Nothing here changes a key.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Catalog } from "../../engine/catalog.ts";
import type { Logger } from "../../log.ts";
import { publicUrl } from "../redis/address.ts";
import { ReaderSession, type ReaderSessionOptions } from "./reader-session.ts";

/** After a connection was lost. */
const pauseMs = 500;

export interface ReplicaReadsOptions extends Omit<ReaderSessionOptions, "source" | "catalog" | "onAttached"> {
  readonly log: Logger;
  /** Called when clients are answered (again). */
  readonly onServing: () => void;
}

interface Run {
  readonly source: string;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

export class ReplicaReads {
  readonly #options: ReplicaReadsOptions;
  /** Undefined until the files are in step for the first time. */
  #catalog: Catalog | undefined;
  #run: Run | undefined;
  #lastReport = "";
  /** Called when the Redis is a primary now, or a replica of another server. */
  onMoved = () => {};

  constructor(options: ReplicaReadsOptions) {
    this.#options = options;
  }

  /** The files are in step: clients may be answered with them. */
  admit(catalog: Catalog): void {
    this.#catalog = catalog;
  }

  /** Begins, where the Redis is a replica of that server, or goes on. */
  async serve(source: string): Promise<void> {
    if (this.#run?.source === source) return;
    await this.stop();
    const stop = new AbortController();
    this.#run = { source, stop, done: this.#serve(source, stop.signal) };
  }

  /** Those that wait hear that no sidecar is there. */
  async stop(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    run?.stop.abort();
    await run?.done;
  }

  async #serve(source: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#serveOnce(source, signal);
      } catch (error) {
        if (!signal.aborted) this.#report("warn", `not answering the replica: ${(error as Error).message}`);
      }
      await delay(pauseMs, undefined, { signal }).catch(() => {});
    }
  }

  async #serveOnce(source: string, signal: AbortSignal): Promise<void> {
    const session = await ReaderSession.open({
      ...this.#options,
      source,
      catalog: () => this.#catalog,
      onAttached: () => {
        this.#report("info", `answering reads of the replica ${publicUrl(this.#options.url)}`);
        this.#options.onServing();
      },
    });
    const end = () => session.end(new Error("stopped"));
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    try {
      await session.run();
      if (!signal.aborted) this.onMoved();
    } finally {
      signal.removeEventListener("abort", end);
      await session.close();
    }
  }

  #report(level: "info" | "warn", what: string): void {
    if (what !== this.#lastReport) this.#options.log[level](what);
    this.#lastReport = what;
  }
}
