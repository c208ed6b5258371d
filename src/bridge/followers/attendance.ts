/**
 * The follower's side of VSTORE.FOLLOW: it tells the module up to where each log is applied, and hears what the leader
 * has told since. With `--sync-followers` writes wait for that, so both happen at once. Without, nothing is told, and
 * the call is only a sign of life.
 */
import type { Redis } from "ioredis";
import { inOneWrite } from "../redis/connection.ts";
import type { LogReads, ReadAhead } from "./log-reads.ts";

/** Streams of which is kept what was acknowledged. Beyond that they are told once more: collections come and go. */
const acknowledgedMax = 4_096;

export type State = "OUT" | "FOLLOWS" | "READY";

export interface Heard {
  /** Whether the leader has given its lease up. */
  readonly isFree: boolean;
  /** Of each stream that was told, the id up to which the leader has applied it. */
  readonly applied: ReadonlyMap<string, string>;
  /** What the logs had at that time. */
  readonly ahead: ReadAhead;
}

export class Attendance {
  readonly #redis: Redis;
  readonly #followerId: string;
  readonly #acknowledged = new Map<string, string>();
  #serial = 0;

  /** Of the last call: what was told until then is in its answer, and in those before. */
  get serial(): number {
    return this.#serial;
  }

  /** @param redis a connection that may wait */
  constructor(redis: Redis, followerId: string) {
    this.#redis = redis;
    this.#followerId = followerId;
  }

  /**
   * @param positions of all streams that are followed, or of those that may have changed
   * @param waitMs for the leader to tell something
   * @param reads what it probably tells of
   */
  async call(
    state: State,
    positions: Iterable<readonly [string, string]>,
    waitMs: number,
    reads: LogReads,
  ): Promise<Heard> {
    const changed = [...positions].filter(([stream, id]) => this.#acknowledged.get(stream) !== id);
    const args = [this.#followerId, state, this.#serial, waitMs, ...changed.flat()];
    const [[serial, free, ...told], ahead] = await inOneWrite(this.#redis, () =>
      Promise.all([
        this.#redis.call("VSTORE.FOLLOW", ...args) as Promise<[number, number, ...string[]]>,
        reads.readAhead(this.#redis),
      ]),
    );
    if (this.#acknowledged.size > acknowledgedMax) this.#acknowledged.clear();
    for (const [stream, id] of changed) this.#acknowledged.set(stream, id);
    this.#serial = serial;
    const applied = new Map<string, string>();
    for (let i = 0; i < told.length; i += 2) applied.set(told[i]!, told[i + 1]!);
    return { isFree: free === 1, applied, ahead };
  }
}
