/**
 * The follower's side: collections whose log begins after its files end, or whose files are damaged, are fetched from
 * the leader, one at a time, and put into the place of what is there. Everything else is followed meanwhile.
 */
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import type { Logger } from "../../log.ts";
import { snapshotStream, snapshotsKey } from "../redis/keys.ts";
import { snapshotFacts } from "./asks.ts";
import { Fetch } from "./fetch.ts";

/** After one that failed. */
const pauseMs = 5_000;

interface Seed {
  readonly collection: string;
  readonly created: string;
  readonly fetch: Fetch;
  readonly stop: AbortController;
  /** Resolves when nothing is read or written any more. */
  done: Promise<void>;
  state: "fetching" | "there" | "failed";
}

export class Seeding {
  readonly #redis: Redis;
  readonly #catalog: Catalog;
  readonly #followerId: string;
  readonly #log: Logger;
  #seed: Seed | undefined;
  #notBefore = 0;
  #lastFault = "";
  /** Whether Redis may have an ask of this follower, of an earlier process even. */
  #mayHaveAsked = true;

  /** @param redis a connection for large values, which nothing waits for */
  constructor(redis: Redis, catalog: Catalog, followerId: string, log: Logger) {
    this.#redis = redis;
    this.#catalog = catalog;
    this.#followerId = followerId;
    this.#log = log;
  }

  /** Whether its files are about to be replaced: nothing else may touch them. */
  owns(collection: string): boolean {
    return this.#seed?.collection === collection && this.#seed.state === "fetching";
  }

  /** The collection that is being fetched, and from where on its log will be needed. */
  get needed(): readonly [collection: string, id: string] | undefined {
    const id = this.#seed?.fetch.appliedId;
    return id === undefined ? undefined : [this.#seed!.collection, id];
  }

  /** For VSTORE.INFO. */
  facts(): Record<string, number> {
    const progress = this.#seed?.fetch.progress;
    return snapshotFacts(progress === undefined ? [] : [progress]);
  }

  /** Fetches the collection in the background, unless another one is under way. */
  begin(collection: string, created: string): void {
    if (this.#seed !== undefined || performance.now() < this.#notBefore) return;
    const stop = new AbortController();
    const fetch = new Fetch(this.#redis, {
      followerId: this.#followerId,
      directory: this.#catalog.directory,
      collection,
      created,
      log: this.#log,
      stop: stop.signal,
    });
    const seed: Seed = { collection, created, fetch, stop, done: Promise.resolve(), state: "fetching" };
    this.#seed = seed;
    this.#mayHaveAsked = true;
    seed.done = this.#run(seed);
  }

  /** Gives a fetch up whose collection the leader does not have any more. @param created the id of its CREATE now */
  heed(created: (collection: string) => string | undefined): void {
    if (this.#seed !== undefined && created(this.#seed.collection) !== this.#seed.created)
      this.#seed.stop.abort();
  }

  /** The collection whose new files are there, until `settle` was called. */
  get arrived(): string | undefined {
    return this.#seed?.state === "there" ? this.#seed.collection : undefined;
  }

  /** Takes the ask back once nothing is fetched. The leader must know by now from where on it has to keep the log. */
  async settle(): Promise<void> {
    if (this.#seed?.state === "fetching") return;
    this.#seed = undefined;
    if (!this.#mayHaveAsked) return;
    this.#mayHaveAsked = false;
    await this.#redis.hdel(snapshotsKey, this.#followerId);
    await this.#redis.unlink(snapshotStream(this.#followerId));
  }

  /** Resolves when nothing is read or written any more. What has arrived is kept. */
  async end(): Promise<void> {
    this.#seed?.stop.abort();
    await this.#seed?.done;
  }

  async #run(seed: Seed): Promise<void> {
    const { collection, fetch, stop } = seed;
    try {
      await this.#catalog.forgetArrivals(collection);
      await fetch.run();
      if (stop.signal.aborted) {
        seed.state = "failed";
        return;
      }
      await this.#catalog.replace(collection);
      seed.state = "there";
      this.#lastFault = "";
      this.#log.info({ collection, files_end_at: fetch.appliedId }, "a snapshot has arrived");
    } catch (error) {
      seed.state = "failed";
      this.#notBefore = performance.now() + pauseMs;
      this.#report(collection, error as Error);
    }
  }

  #report(collection: string, { message }: Error): void {
    if (message === this.#lastFault) return;
    this.#lastFault = message;
    this.#log.warn({ collection, error: message }, "a snapshot has not arrived; it is asked for again");
  }
}
