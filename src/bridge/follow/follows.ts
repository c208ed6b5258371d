/**
 * Keeps the collections that follow Redis keys in step with them. The module does the following itself, because it must
 * go on while no sidecar is there. It reads what it needs from vstore:follows, which this file writes and restores.
 *
 * vstore:synced says of which collections the log has told everything. The field is missing for a new collection, and a
 * loss deletes it: the module does so when it cannot append, reconciling when a log was lost, an eviction or FLUSHALL
 * by itself. Then resync.ts looks at all keys, one collection after the other.
 */
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import type { CacheOptions, Follow } from "../../engine/options.ts";
import type { Logger } from "../../log.ts";
import { followsKey, syncedKey } from "../redis/keys.ts";
import { runScript } from "../redis/script.ts";
import { infoField } from "../redis/server.ts";
import type { Session } from "../session/session.ts";
import { Resync, synced } from "./resync.ts";

/**
 * Between two looks at all keys of one collection: the reason that made the first one futile (a full disk) may last.
 */
const pauseMsMin = 2_000;
const pauseMsMax = 60_000;

/** While the module did not know of the collection, its keys may have changed unnoticed. */
const announceScript = `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HDEL', KEYS[2], ARGV[1])`;

export class Follows {
  readonly #redis: Redis;
  /** For reads, so that paused writes do not hold them up. */
  readonly #reads: Redis;
  readonly #catalog: Catalog;
  readonly #log: Logger;
  readonly #ended: AbortSignal;
  #running: Resync | undefined;
  /**
   * When the last look at all keys of a collection ended, by the monotonic clock, and how long the next one has to
   * wait.
   */
  readonly #rests = new WeakMap<Collection, { since: number; pauseMs: number }>();

  constructor(session: Session, catalog: Catalog, log: Logger) {
    this.#redis = session.writer;
    this.#reads = session.answerer;
    this.#catalog = catalog;
    this.#log = log;
    this.#ended = session.signal;
  }

  /** Tells the module what it has to know, and begins to look at the keys of a collection that may be out of step. */
  async restore(): Promise<void> {
    const told = new Map(Object.entries(await this.#reads.hgetallBuffer(followsKey)));
    for (const name of told.keys()) if (!this.#isToStay(name)) await forgetFollow(this.#redis, name);
    const following = this.#catalog.collections().filter(({ options }) => options.follow !== undefined);
    for (const { name, options } of following) {
      const text = encodeFollow(options.follow!, options.cache);
      if (told.get(name)?.equals(text) !== true)
        await runScript(this.#redis, announceScript, [followsKey, syncedKey], name, text);
    }
    if (following.length > 0) await this.#lookAfter(following);
  }

  /** For VSTORE.INFO of one collection. */
  facts(name: string | undefined): Record<string, string | number> {
    const collection = name === undefined ? undefined : this.#catalog.find(name);
    if (collection?.options.follow === undefined) return {};
    const { prefix, hash } = collection.options.follow;
    const running = this.#running?.collection === collection ? this.#running : undefined;
    return {
      follow_prefix: prefix,
      ...(hash && { follow_field: hash.field }),
      follow_resyncing: running === undefined ? 0 : 1,
      ...running?.progress,
    };
  }

  /** The options of a damaged collection cannot be read, so its keys go on into its log. */
  #isToStay(name: string): boolean {
    const collection = this.#catalog.find(name);
    if (collection !== undefined) return collection.options.follow !== undefined;
    return this.#catalog.has(name);
  }

  async #lookAfter(following: readonly Collection[]): Promise<void> {
    const untold = infoField(await this.#reads.info("vstore"), "vstore_followed_untold");
    if (untold !== "0") await this.#redis.call("VSTORE.RESYNC"); // what the module could not write down when it was lost
    const states = await this.#reads.hmget(syncedKey, ...following.map(({ name }) => name));
    if (this.#running !== undefined) return;
    const next = following.find((each, at) => states[at] !== synced && this.#hasRested(each));
    if (next === undefined) return;
    this.#running = new Resync(this.#redis, next, this.#ended);
    void this.#run(this.#running);
  }

  #hasRested(collection: Collection): boolean {
    const rest = this.#rests.get(collection);
    return rest === undefined || performance.now() - rest.since >= rest.pauseMs;
  }

  /** Twice as long after each look that was not enough. */
  #rest(collection: Collection, isInStep: boolean): void {
    const last = this.#rests.get(collection)?.pauseMs ?? pauseMsMin / 2;
    const pauseMs = isInStep ? pauseMsMin : Math.min(2 * last, pauseMsMax);
    this.#rests.set(collection, { since: performance.now(), pauseMs });
  }

  async #run(resync: Resync): Promise<void> {
    const { collection } = resync;
    let isInStep = false;
    try {
      isInStep = await resync.run();
      const details = { collection: collection.name, ...resync.progress, in_step: isInStep };
      this.#log.info(details, "looked at all keys that the collection follows");
    } catch (error) {
      const details = { collection: collection.name, error: (error as Error).message };
      const wasDropped = this.#catalog.find(collection.name) !== collection;
      if (!this.#ended.aborted && !wasDropped) this.#log.warn(details, "looking at the followed keys failed");
    } finally {
      this.#rest(collection, isInStep);
      this.#running = undefined;
    }
  }
}

/** To be called when a collection is dropped. */
export async function forgetFollow(redis: Redis, name: string): Promise<void> {
  await redis.hdel(followsKey, name);
  await redis.hdel(syncedKey, name);
}

/**
 * The prefix, then the fields, each as a netstring; of a cache the default life of its values comes first. This is what
 * redis/follow/follow_table.c reads.
 */
function encodeFollow({ prefix, hash }: Follow, cache: CacheOptions | undefined): Buffer {
  const texts = hash === undefined ? [prefix] : [prefix, hash.field, ...hash.attributes];
  const mark = cache === undefined ? "" : `cache ${cache.ttlMs ?? 0}${cache.isSliding ? "s" : ""};`;
  return Buffer.from(mark + texts.map((text) => `${text.length}:${text},`).join(""), "latin1");
}
