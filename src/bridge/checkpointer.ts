/**
 * Makes checkpoints, one at a time because two would only compete for the disk: when the schedule says so, and
 * early when a log has grown. It never fails towards its callers: the log keeps what no checkpoint covers.
 */
import type { Catalog } from "../engine/catalog.ts";
import type { Collection } from "../engine/collection.ts";
import type { Logger } from "../log.ts";

export class Checkpointer {
  readonly #catalog: Catalog;
  readonly #logBytesMax: number;
  readonly #log: Logger;
  /** Log bytes applied since the last checkpoint began. */
  readonly #applied = new WeakMap<Collection, number>();
  #last: Promise<void> = Promise.resolve();

  /** @param logBytesMax bytes of applied log entries that bring the next checkpoint forward */
  constructor(catalog: Catalog, logBytesMax: number, log: Logger) {
    this.#catalog = catalog;
    this.#logBytesMax = logBytesMax;
    this.#log = log;
  }

  /** Counts what was applied; makes a checkpoint when it has become much. */
  count(collection: Collection, bytes: number): void {
    const before = this.#applied.get(collection) ?? 0;
    this.#applied.set(collection, before + bytes);
    if (before < this.#logBytesMax && before + bytes >= this.#logBytesMax)
      void this.checkpoint(collection.name);
  }

  checkpoint(name: string): Promise<void> {
    this.#last = this.#last.then(() => this.#checkpoint(name));
    return this.#last;
  }

  async #checkpoint(name: string): Promise<void> {
    const collection = this.#catalog.find(name);
    if (collection === undefined) return;
    this.#applied.set(collection, 0);
    try {
      const { changed, ...details } = await collection.checkpoint();
      if (changed) this.#log.info({ collection: name, ...details }, "checkpoint");
    } catch (error) {
      this.#log.error({ collection: name, error: (error as Error).message }, "a checkpoint failed");
    }
  }
}
