/**
 * Trims each log up to what a checkpoint has made durable, and never further. It looks at the collections
 * instead of being told, so that it makes no difference who asked for the checkpoint.
 */
import type { Redis } from "ioredis";
import type { Catalog } from "../engine/catalog.ts";
import { FIRST_ID } from "../engine/log-id.ts";
import { nextId } from "./ids.ts";
import { collectionsKey, logStream } from "./streams.ts";

export class Trimmer {
  readonly #redis: Redis;
  readonly #catalog: Catalog;
  #trimmed = new Map<string, string>();

  constructor(redis: Redis, catalog: Catalog) {
    this.#redis = redis;
    this.#catalog = catalog;
  }

  async trim(): Promise<void> {
    const covered = new Map(this.#catalog.collections().map((each) => [each.name, each.checkpointId]));
    for (const [name, id] of covered) {
      if (id !== FIRST_ID && id !== this.#trimmed.get(name)) await this.#trimLog(name, id);
    }
    this.#trimmed = covered;
  }

  /** Records in Redis how far it trimmed: files that end before that cannot be completed from the log. */
  async #trimLog(name: string, id: string): Promise<void> {
    await this.#redis
      .multi()
      .hset(collectionsKey, name, id)
      .call("XTRIM", logStream(name), "MINID", nextId(id))
      .exec();
  }
}
