/**
 * Log entries that Redis has lost: by an evicted, deleted, flushed or renamed key, entries that a client removed,
 * another stream in a log's place, an older snapshot, a failover. Applied writes are safe in the files. Unapplied
 * entries are lost with the log, so the loss is reported.
 */
import type { Collection } from "../../engine/collection.ts";
import type { Logger } from "../../log.ts";
import { AppliedIds } from "./applied-ids.ts";

export class LogLosses {
  /** Outlives sessions, because a loss shows when the next one begins. */
  readonly applied = new AppliedIds();
  readonly #log: Logger;
  readonly #byCollection = new Map<string, number>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @param last last id of the log that Redis has; undefined when it has none */
  report(collection: Collection, last: string | undefined): void {
    const { name, createdId } = collection;
    const end = collection.position;
    if (last === undefined && end === createdId) return; // a new one
    this.#byCollection.set(name, (this.#byCollection.get(name) ?? 0) + 1);
    const details = { collection: name, log_ends_at: last ?? "nothing", files_end_at: end };
    this.#log.warn(details, "Redis has lost (a part of) a log; making a checkpoint at once");
  }

  /** Entries that a log without its end got before the session began. */
  reportStrays(collection: string, entries: number): void {
    this.#log.warn({ collection, entries }, "a log had new entries before its end; they are applied now");
  }

  /** A collection that Redis still had and the files have dropped. */
  reportDrop(collection: string): void {
    this.#log.warn({ collection }, "Redis has forgotten a DROP; it is completed again");
  }

  /** For VSTORE.INFO of one collection, or of all. */
  facts(name?: string): { log_losses: number } {
    const all = [...this.#byCollection.values()].reduce((sum, count) => sum + count, 0);
    return { log_losses: name === undefined ? all : (this.#byCollection.get(name) ?? 0) };
  }
}
