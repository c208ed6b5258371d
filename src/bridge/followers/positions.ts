/**
 * How far the files of one sidecar are durable, as Redis is told: the log is needed from there. A follower tells it,
 * and a leader that may follow one day, so that the next leader keeps the log for it too.
 */
import type { Redis } from "ioredis";
import type { Collection } from "../../engine/collection.ts";
import { compareIds } from "../../engine/log-id.ts";
import { followerKey } from "../redis/keys.ts";

export class Positions {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #told = new Map<string, string>();

  constructor(redis: Redis, followerId: string) {
    this.#redis = redis;
    this.#key = followerKey(followerId);
  }

  /** What an earlier process has told: the log waits for it until this one tells other things. */
  async begin(): Promise<void> {
    const told = await this.#redis.hgetall(this.#key);
    for (const [name, id] of Object.entries(told)) this.#told.set(name, id);
  }

  /** @param now of all collections */
  async tell(now: ReadonlyMap<string, string>): Promise<void> {
    const changed = [...now].filter(([name, id]) => this.#told.get(name) !== id);
    const gone = [...this.#told.keys()].filter((name) => !now.has(name));
    if (changed.length > 0) await this.#redis.hset(this.#key, ...changed.flat());
    if (gone.length > 0) await this.#redis.hdel(this.#key, ...gone);
    for (const [name, id] of changed) this.#told.set(name, id);
    for (const name of gone) this.#told.delete(name);
  }
}

/** Of each collection, the id up to which its files are durable. */
export function durable(collections: readonly Collection[]): Map<string, string> {
  const idOf = ({ checkpointId, createdId }: Collection) =>
    compareIds(checkpointId, createdId) > 0 ? checkpointId : createdId;
  return new Map(collections.map((each) => [each.name, idOf(each)]));
}
