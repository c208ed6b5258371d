/**
 * One look at all keys that a collection follows: at the collection's keys, to find those that Redis no longer has,
 * and, where vectors come from hashes, at all hashes of the prefix. Each step is a VSTORE.RESYNC: the module appends to
 * the log what an event on those keys would. So the order of the log stays that of the keys, and every client goes on
 * meanwhile.
 *
 * vstore:synced says `running` from the beginning and `synced` at the end; in between, and after a crash, it says that
 * the keys have to be looked at. A loss while it runs takes the field away, and then this one was not enough.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Collection } from "../../engine/collection.ts";
import { codeOf } from "../redis/error-code.ts";
import { lastId } from "../redis/key-state.ts";
import { logStream, syncedKey } from "../redis/keys.ts";
import { runScript } from "../redis/script.ts";

export const synced = "synced";
const running = "running";

/** Keys of one VSTORE.RESYNC: it copies their vectors while Redis does nothing else. */
const batchKeys = 128;
/** How long to wait for the log to have room, or to be read. */
const pollMs = 100;

const beginScript = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])";
const endScript = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1`;

export interface Progress {
  /** Keys that were looked at. */
  follow_keys_done: number;
  /** How many there were at the beginning. */
  follow_keys_total: number;
}

export class Resync {
  readonly collection: Collection;
  readonly progress: Progress = { follow_keys_done: 0, follow_keys_total: 0 };
  readonly #redis: Redis;
  readonly #signal: AbortSignal;

  /** @param signal ends it early, with an error */
  constructor(redis: Redis, collection: Collection, signal: AbortSignal) {
    this.#redis = redis;
    this.collection = collection;
    this.#signal = signal;
  }

  /** Resolves to whether the collection is in step now. */
  async run(): Promise<boolean> {
    const { name, options, length } = this.collection;
    await runScript(this.#redis, beginScript, [syncedKey], name, running);
    this.progress.follow_keys_total = length + (options.follow?.hash ? await this.#redis.dbsize() : 0);
    await this.#untilLogIsApplied();
    await this.#lookAtVectors(Buffer.from(options.follow!.prefix, "latin1"));
    if (options.follow?.hash) await this.#lookAtHashes(options.follow.prefix);
    return (await runScript(this.#redis, endScript, [syncedKey], name, running, synced)) === 1;
  }

  /** The log up to now may bring a vector whose key has gone since without an event. */
  async #untilLogIsApplied(): Promise<void> {
    const log = logStream(this.collection.name);
    const end = await lastId(this.#redis, log);
    if (end === undefined) throw new Error(`${log} is missing`);
    const isThereMore = () => this.#redis.xrangeBuffer(log, `(${this.collection.position}`, end, "COUNT", 1);
    while ((await isThereMore()).length > 0) await this.#pause();
  }

  async #lookAtVectors(prefix: Buffer): Promise<void> {
    let cursor = 0;
    do {
      const step = this.collection.scan(cursor, batchKeys);
      cursor = step.cursor;
      const keys = step.keys.map((key) => Buffer.from(key));
      await this.#send(
        "GONE",
        keys.filter((key) => key.subarray(0, prefix.length).equals(prefix)),
      );
      this.#advance(keys.length);
    } while (cursor !== 0);
  }

  async #lookAtHashes(prefix: string): Promise<void> {
    const pattern = Buffer.from(`${prefix.replace(/[*?[\]\\]/g, "\\$&")}*`, "latin1");
    let cursor = "0";
    do {
      const page = await this.#redis.callBuffer("SCAN", cursor, "MATCH", pattern, "COUNT", batchKeys);
      const [next, keys] = page as [Buffer, Buffer[]];
      cursor = next.toString();
      await this.#send("ALL", keys);
      this.#advance(batchKeys);
    } while (cursor !== "0");
  }

  /** Again and again while the log has no room for it; what was appended already does no harm twice. */
  async #send(which: "GONE" | "ALL", keys: readonly Buffer[]): Promise<void> {
    if (keys.length === 0) return;
    for (;;) {
      try {
        await this.#redis.call("VSTORE.RESYNC", this.collection.name, which, ...keys);
        return;
      } catch (error) {
        if (codeOf(error) !== "BUSY") throw error;
        await this.#pause();
      }
    }
  }

  /** SCAN looks at about as many keys as COUNT asks for. */
  #advance(keys: number): void {
    const { follow_keys_done: done, follow_keys_total: total } = this.progress;
    this.progress.follow_keys_done = Math.min(done + keys, total);
  }

  async #pause(): Promise<void> {
    await delay(pollMs, undefined, { signal: this.#signal });
  }
}
