/**
 * Payloads of failed jobs. A job that failed for a passing reason (its collection was missing) may be retried from the
 * queue, so its payload stays. All payloads together have a limit in bytes. Beyond it the oldest jobs lose theirs, and
 * keep its size only.
 */
import type { Redis } from "ioredis";
import type { Logger } from "../../log.ts";

/** Bytes of the payloads of all failed jobs. */
export const failedBytesMax = 64 * 1024 * 1024;

/** The remains of a dropped payload are no longer than this. Dropping a payload of that size would free nothing. */
const leftBytesMax = 64;

/** Not of a job that is being retried. */
const dropScript = `
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('HSET', KEYS[2], 'data', ARGV[2])
return 1`;

export class FailedPayloads {
  readonly #redis: Redis;
  readonly #keyOf: (name: string) => string;
  readonly #log: Logger;
  /** Bytes by job, the one that failed first first. */
  readonly #kept = new Map<string, number>();
  #bytes = 0;
  #dropped = 0;
  #turn: Promise<void>;

  /** @param keyOf the queue's key of a job's id, and of `failed` */
  constructor(redis: Redis, keyOf: (name: string) => string, log: Logger) {
    this.#redis = redis;
    this.#keyOf = keyOf;
    this.#log = log;
    this.#turn = this.#load().catch((error) => this.#complain(error));
  }

  /** Never rejects: the next failure tries again to drop payloads. */
  add(id: string, bytes: number): Promise<void> {
    this.#turn = this.#turn
      .then(() => {
        this.#note(id, bytes);
        return this.#dropOldest();
      })
      .catch((error) => this.#complain(error));
    return this.#turn;
  }

  /** Counts the payloads of earlier sessions too. */
  async #load(): Promise<void> {
    const ids = await this.#redis.zrange(this.#keyOf("failed"), "0", "-1");
    const pipeline = this.#redis.pipeline();
    for (const id of ids) pipeline.call("HSTRLEN", this.#keyOf(id), "data");
    const sizes = (await pipeline.exec()) ?? [];
    for (const [i, id] of ids.entries()) this.#note(id, Number(sizes[i]?.[1] ?? 0));
    await this.#dropOldest();
  }

  #note(id: string, bytes: number): void {
    this.#bytes -= this.#kept.get(id) ?? 0;
    this.#kept.delete(id);
    if (bytes <= leftBytesMax) return;
    this.#bytes += bytes;
    this.#kept.set(id, bytes);
  }

  async #dropOldest(): Promise<void> {
    for (const [id, bytes] of this.#kept) {
      if (this.#bytes <= failedBytesMax) return;
      const left = JSON.stringify({ bytes });
      const keys = [this.#keyOf("failed"), this.#keyOf(id)] as const;
      const isDropped = (await this.#redis.eval(dropScript, 2, ...keys, id, left)) === 1;
      this.#kept.delete(id);
      this.#bytes -= bytes;
      if (isDropped)
        this.#log.warn(
          { job: id, bytes, dropped: ++this.#dropped },
          "the payload of a failed job was dropped",
        );
    }
  }

  #complain(error: Error): void {
    this.#log.debug({ error: error.message }, "the payloads of failed jobs");
  }
}
