/**
 * Makes checkpoints, one at a time because two would only compete for the disk: when the schedule says so, early when a
 * log has grown, and when the schedule has failed, since its jobs live in a Redis that may be full. Callers see no
 * failure: the log keeps what no checkpoint covers.
 */
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import type { Logger } from "../../log.ts";

/** A checkpoint that is late by as many intervals is made without the schedule. */
const intervalsMax = 2;

export interface CheckpointerOptions {
  /** Bytes of applied log entries that bring the next checkpoint forward. */
  readonly logBytesMax: number;
  /** Of the schedule. */
  readonly intervalMs: number;
  readonly log: Logger;
  /** Called after each checkpoint, to trim the log at once. */
  readonly afterwards: (collection: Collection) => Promise<void>;
}

export class Checkpointer {
  readonly #catalog: Catalog;
  readonly #options: CheckpointerOptions;
  /** Log bytes applied since the last checkpoint began. */
  readonly #applied = new WeakMap<Collection, number>();
  /** When the last checkpoint began, or the collection was first seen; by the monotonic clock. */
  readonly #began = new WeakMap<Collection, number>();
  #last: Promise<void> = Promise.resolve();

  constructor(catalog: Catalog, options: CheckpointerOptions) {
    this.#catalog = catalog;
    this.#options = options;
  }

  /** Counts applied bytes; makes a checkpoint when they reach the limit. */
  count(collection: Collection, bytes: number): void {
    const before = this.#applied.get(collection) ?? 0;
    this.#applied.set(collection, before + bytes);
    const { logBytesMax } = this.#options;
    if (before < logBytesMax && before + bytes >= logBytesMax) void this.checkpoint(collection.name);
  }

  /** Makes the checkpoints that are overdue. */
  async catchUp(): Promise<void> {
    const now = performance.now();
    for (const collection of this.#catalog.collections()) {
      const began = (collection.isCovered ? undefined : this.#began.get(collection)) ?? now;
      const overdue = now - began > intervalsMax * this.#options.intervalMs;
      this.#began.set(collection, overdue ? now : began);
      if (overdue) void this.checkpoint(collection.name);
    }
  }

  /** Never rejects, so that one that fails takes no other with it. */
  checkpoint(name: string): Promise<void> {
    this.#last = this.#last.then(() => this.#checkpoint(name));
    return this.#last;
  }

  async #checkpoint(name: string): Promise<void> {
    const { log, afterwards } = this.#options;
    try {
      const collection = this.#catalog.find(name);
      if (collection === undefined) return;
      this.#applied.set(collection, 0);
      this.#began.set(collection, performance.now());
      const { changed, ...details } = await collection.checkpoint();
      if (changed) log.info({ collection: name, ...details }, "checkpoint");
      await afterwards(collection).catch(() => {}); // a lost connection ends the session, and that is logged
    } catch (error) {
      log.error({ collection: name, error: (error as Error).message }, "a checkpoint failed");
    }
  }
}
