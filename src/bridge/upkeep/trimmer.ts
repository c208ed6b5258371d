/**
 * Trims each log up to what a checkpoint has made durable, here and on followers, and never further. It looks at the
 * collections instead of being called, so that it makes no difference what caused the checkpoint.
 */
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { failPoint } from "../../engine/fail-point.ts";
import { compareIds, FIRST_ID, nextId } from "../../engine/log-id.ts";
import type { Followers } from "../followers/followers.ts";
import { removedFunction } from "../logs/removals.ts";
import { typeFunction } from "../redis/key-state.ts";
import { collectionsKey, logStream, logsKey } from "../redis/keys.ts";
import { runScript } from "../redis/script.ts";

/**
 * Records in Redis how far it trimmed: files that end before that cannot be completed from the log. A collection that
 * is being dropped has lost its record, and must not get it back: the next start would miss its files.
 */
const trimScript = `${typeFunction}${removedFunction}
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if typeOf(KEYS[2]) ~= 'stream' then return 0 end
return removed(KEYS[3], KEYS[2], redis.call('XTRIM', KEYS[2], 'MINID', ARGV[3]))`;

export class Trimmer {
  readonly #redis: Redis;
  readonly #catalog: Catalog;
  readonly #followers: Followers;
  /** Up to which id. */
  readonly #trimmed = new WeakMap<Collection, string>();

  constructor(redis: Redis, catalog: Catalog, followers: Followers) {
    this.#followers = followers;
    this.#redis = redis;
    this.#catalog = catalog;
  }

  async trim(collections: readonly Collection[] = this.#catalog.collections()): Promise<void> {
    const grown = collections.filter((each) => this.#isToTrim(each));
    if (grown.length === 0) return;
    const ends = grown.map((collection) => [collection, collection.checkpointId] as const);
    await this.#followers.look(); // one may just have come
    // First, as a position before the beginning of a log counts for nothing.
    if (this.#followers.keepsPlace) await this.#followers.keepPlace(this.#catalog.collections());
    for (const [collection, checkpointId] of ends) {
      const { name } = collection;
      const upTo = this.#followers.limit(collection, checkpointId);
      if (compareIds(upTo, this.#trimmedOf(collection)) <= 0) continue;
      await this.#trimLog(name, upTo);
      this.#trimmed.set(collection, upTo);
    }
  }

  #isToTrim(collection: Collection): boolean {
    const { checkpointId } = collection;
    return checkpointId !== FIRST_ID && compareIds(checkpointId, this.#trimmedOf(collection)) > 0;
  }

  #trimmedOf(collection: Collection): string {
    return this.#trimmed.get(collection) ?? collection.createdId;
  }

  async #trimLog(name: string, id: string): Promise<void> {
    failPoint("log-before-trim");
    const keys = [collectionsKey, logStream(name), logsKey];
    await runScript(this.#redis, trimScript, keys, name, id, nextId(id));
  }
}
