/**
 * What the leader tells its followers: which collections there are, how each was made, and how far its log is applied.
 * A follower applies no entry beyond that, because the leader may still withdraw it (see Refusals that depend on the
 * moment). A CREATE is told before its client is answered, all else once a second.
 */
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import type { CollectionOptions } from "../../engine/options.ts";
import { followersKey, progressKey } from "../redis/keys.ts";
import { runScript } from "../redis/script.ts";

/** Holds the mark: store id, session, calls. No collection has this name. */
const markField = "/";

export interface Progress {
  /** Id of the CREATE. */
  readonly created: string;
  /** Id of the last entry that is applied, or of the CREATE. */
  readonly applied: string;
  readonly options: CollectionOptions;
}

/**
 * Changes fields, where this leader has told the rest. While there are followers its mark rises with each call: that
 * shows them a leader that is alive, and not the word of an earlier one in an older copy of Redis.
 */
const tellScript = `
local mark = redis.call('HGET', KEYS[1], ARGV[1])
if not mark or string.sub(mark, 1, #ARGV[2]) ~= ARGV[2] then return 0 end
for i = 4, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
if #ARGV > 3 or redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ARGV[3])
end
return 1`;

const tellAllScript = `
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ARGV[3])
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1`;

export class LeaderProgress {
  readonly #redis: Redis;
  readonly #catalog: Catalog;
  /** Names this session. */
  readonly #session = randomUUID();
  #calls = 0;
  /** Of each collection, what Redis was told. */
  readonly #told = new Map<string, string>();
  readonly #made = new WeakMap<Collection, { readonly position: string; readonly text: string }>();

  constructor(redis: Redis, catalog: Catalog) {
    this.#redis = redis;
    this.#catalog = catalog;
  }

  /** Made once for each position: most collections have not moved since the last second. */
  #textOf(collection: Collection | undefined): string {
    // Of a collection whose files are damaged nothing is known but that it exists.
    if (collection === undefined) return "null";
    const made = this.#made.get(collection);
    if (made?.position === collection.position) return made.text;
    const { createdId, position, options } = collection;
    const text = JSON.stringify({ created: createdId, applied: position, options } satisfies Progress);
    this.#made.set(collection, { position, text });
    return text;
  }

  /**
   * Tells what has changed, and all when Redis does not have it.
   *
   * @param hasFollowers whether to tell that the leader is alive, too
   */
  async tell(hasFollowers = false): Promise<void> {
    const { storeId } = this.#catalog;
    if (storeId === undefined) return;
    const now = new Map(this.#catalog.names().map((name) => [name, this.#textOf(this.#catalog.find(name))]));
    const changed = [...now].filter(([name, text]) => this.#told.get(name) !== text);
    const gone = [...this.#told.keys()].filter((name) => !now.has(name));
    if (changed.length === 0 && gone.length === 0 && !hasFollowers) return;
    const head = [markField, `${storeId} ${this.#session} `, ++this.#calls];
    const words = [...changed.flat(), ...gone.flatMap((name) => [name, ""])];
    const keys = [progressKey, followersKey];
    const wasTold = await runScript(this.#redis, tellScript, keys, ...head, ...words);
    if (wasTold !== 1) await runScript(this.#redis, tellAllScript, keys, ...head, ...[...now].flat());
    for (const [name, text] of now) this.#told.set(name, text);
    for (const name of gone) this.#told.delete(name);
  }
}

export interface Told {
  /** Names the leader's session. */
  readonly session: string;
  /** Rises while that leader is alive. */
  readonly calls: number;
  /** Of each collection; null where the leader's files are damaged. */
  readonly collections: ReadonlyMap<string, Progress | null>;
}

/** @returns undefined unless a leader of this store has told */
export async function readProgress(redis: Redis, storeId: string): Promise<Told | undefined> {
  const { [markField]: mark = "", ...told } = await redis.hgetall(progressKey);
  const [store, session = "", calls] = mark.split(" ");
  if (store !== storeId) return undefined;
  const collections = Object.entries(told).map(([name, text]) => [name, JSON.parse(text)] as const);
  return { session, calls: Number(calls), collections: new Map(collections) };
}
