/**
 * Keys of request streams that hold another kind of value, written by another client. XREAD fails for all streams
 * because of one. So the reader leaves such a stream out until its key is gone, and only its collection stands still.
 * The module refuses what would go into it (WRONGTYPE) by itself.
 */
import type { Redis } from "ioredis";
import type { Logger } from "../../log.ts";
import { typesOf } from "../redis/key-state.ts";
import { logStream, nodeTag, queriesStream } from "../redis/keys.ts";

const adviceFor = (type: string): string =>
  type === "elsewhere"
    ? "a collection is not served: its slot has moved to another node of the cluster; move it back"
    : "a stream is obstructed: rename or delete that key";

/** How often to check whether they are gone. */
const watchMs = 1_000;

export class Obstructions {
  readonly #redis: Redis;
  readonly #log: Logger;
  /** Key → what it holds. */
  #found: ReadonlyMap<string, string> = new Map();
  #lookedAt = 0;

  constructor(redis: Redis, log: Logger) {
    this.#redis = redis;
    this.#log = log;
  }

  get any(): boolean {
    return this.#found.size > 0;
  }

  has(stream: string): boolean {
    return this.#found.has(stream);
  }

  /** Finds those among `streams`, and forgets all others. */
  async find(streams: readonly string[]): Promise<void> {
    const types = await typesOf(this.#redis, streams);
    const held = streams.map((stream, i) => [stream, types[i]!] as const);
    const found = new Map(held.filter(([, type]) => type !== "stream" && type !== "none"));
    for (const [key, type] of found) if (!this.has(key)) this.#log.warn({ key, type }, adviceFor(type));
    for (const key of this.#found.keys())
      if (!found.has(key)) this.#log.info({ key }, "a stream is free again");
    this.#found = found;
    this.#lookedAt = performance.now();
  }

  /**
   * Checks once a second whether those that were found are gone. On a node of a cluster a slot may leave at any time,
   * and Redis need not say so to a client that waits for its streams: there it looks at all.
   */
  async watch(streams: () => readonly string[]): Promise<void> {
    const isCluster = nodeTag !== "";
    if ((this.#found.size === 0 && !isCluster) || performance.now() - this.#lookedAt < watchMs) return;
    await this.find(isCluster ? streams() : [...this.#found.keys()]);
  }

  /** For VSTORE.INFO of one collection, or of all. */
  facts(name?: string): { obstructed_streams: number } {
    if (name === undefined) return { obstructed_streams: this.#found.size };
    const own = [logStream(name), queriesStream(name)];
    return { obstructed_streams: own.filter((stream) => this.has(stream)).length };
  }
}
