/**
 * Keeps the values of a cache within its MAXBYTES. The sidecar knows how many bytes the entries have, and draws some of
 * them by chance; the module deletes those among them that were not used for the longest time, as Redis itself evicts.
 * What it deletes it tells the log, as with every followed key, so vectors go by the log alone.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { countersOf } from "../../commands/cache/counters.ts";
import { bytesOfEntry, readEntry } from "../../commands/cache/entry.ts";
import type { Collection } from "../../engine/collection.ts";
import { compareIds } from "../../engine/log-id.ts";
import { LimitedLog, type Logger } from "../../log.ts";

/** Share of MAXBYTES that entries may have; what is written while others are evicted has the rest. */
const filledMax = 0.99;
/** Entries that are looked at for each one that has to go, as `maxmemory-samples` of Redis. */
const samples = 5;
const candidatesMin = 16;
const candidatesMax = 1_000;
/** Bytes of values that one command deletes: their digests are compared, about a millisecond for each MiB. */
const bytesMax = 8 * 1024 * 1024;
/** For the log to bring what was told to it; and a rest where nothing could be evicted. */
const waitMsMax = 1_000;
const restMs = 100;

export class Evictions {
  readonly #writer: Redis;
  readonly #ended: AbortSignal;
  readonly #lines: LimitedLog;
  readonly #caches = new WeakMap<Collection, CacheEviction>();

  constructor(writer: Redis, ended: AbortSignal, log: Logger) {
    this.#writer = writer;
    this.#ended = ended;
    this.#lines = new LimitedLog(log);
  }

  /** To be called when the collection may have changed. */
  look(collection: Collection): void {
    const maxBytes = collection.options.cache?.maxBytes;
    if (maxBytes === undefined) return;
    let cache = this.#caches.get(collection);
    if (cache === undefined) {
      cache = new CacheEviction(this.#writer, this.#ended, collection, maxBytes * filledMax);
      this.#caches.set(collection, cache);
    }
    cache.look((error) => {
      if (this.#ended.aborted) return;
      this.#lines.warn({ collection: collection.name, error: error.message }, "evicting values failed");
    });
  }
}

class CacheEviction {
  readonly #writer: Redis;
  readonly #ended: AbortSignal;
  readonly #collection: Collection;
  readonly #bytesMax: number;
  #isRunning = false;
  /** Called when the collection may have changed. */
  #changed = () => {};

  constructor(writer: Redis, ended: AbortSignal, collection: Collection, bytesMax: number) {
    this.#writer = writer;
    this.#ended = ended;
    this.#collection = collection;
    this.#bytesMax = bytesMax;
  }

  look(failed: (error: Error) => void): void {
    this.#changed();
    if (this.#isRunning || !this.#isFull) return;
    this.#isRunning = true;
    const done = () => {
      this.#isRunning = false;
    };
    this.#run()
      .catch((error: Error) => {
        failed(error);
        return delay(waitMsMax, undefined, { ref: false });
      })
      .finally(done);
  }

  /** Also while the bytes are not counted yet. */
  get #isFull(): boolean {
    return (this.#sum.total ?? Number.POSITIVE_INFINITY) > this.#bytesMax;
  }

  get #sum() {
    return this.#collection.sumOf(bytesOfEntry);
  }

  async #run(): Promise<void> {
    while (this.#isFull && !this.#ended.aborted) {
      await this.#sum.count();
      const excess = (this.#sum.total ?? 0) - this.#bytesMax;
      if (excess <= 0) continue;
      const evicted = await this.#evict(excess);
      countersOf(this.#collection).evictions += evicted;
      if (evicted === 0) await delay(restMs, undefined, { ref: false });
    }
  }

  /** Returns how many entries have gone. */
  async #evict(excess: number): Promise<number> {
    const bytes = Math.min(excess, bytesMax);
    const pairs = await this.#candidates(bytes);
    if (pairs.length === 0) return 0;
    const { name } = this.#collection;
    const reply = await this.#writer.call("VSTORE.RELEASE", name, "IDLEST", Math.ceil(bytes), ...pairs);
    const [evicted, end] = reply as [number, string];
    await this.#applied(String(end));
    return evicted;
  }

  /** Keys and digests in turn, of those that were set first before others. */
  async #candidates(bytes: number): Promise<(Buffer | string)[]> {
    const collection = this.#collection;
    const entryBytes = (this.#sum.total ?? 0) / Math.max(collection.length, 1);
    const wanted = samples * Math.ceil(bytes / Math.max(entryBytes, 1));
    const count = Math.min(Math.max(wanted, candidatesMin), candidatesMax);
    const keys = await collection.sampling.randomKeys(count);
    const entries = keys.flatMap((key) => {
      const facts = readEntry(collection.getAttributes(key))?.facts;
      return facts === undefined ? [] : { key: Buffer.from(key), facts };
    });
    entries.sort((a, b) => a.facts.at - b.facts.at);
    return entries.flatMap(({ key, facts }) => [key, facts.value]);
  }

  /** Resolves when the log was applied up to there, or after a named time. */
  async #applied(id: string): Promise<void> {
    const until = performance.now() + waitMsMax;
    while (compareIds(this.#collection.position, id) < 0 && performance.now() < until) {
      const changed = new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
      await Promise.race([changed, delay(restMs, undefined, { ref: false })]);
    }
  }
}
