/**
 * The leader's view of its followers: which of them are alive, and how far a log may be trimmed so that each of them
 * can go on by it. Whether one is alive is judged by the leader's monotonic clock: its counter has to rise. A log waits
 * for them only within a number of bytes, so that none of them, dead or slow, fills Redis.
 */
import type { Redis } from "ioredis";
import type { Collection } from "../../engine/collection.ts";
import { compareIds } from "../../engine/log-id.ts";
import type { Logger } from "../../log.ts";
import { readHash } from "../redis/key-state.ts";
import { collectionsKey, followerKey, followersKey, snapshotStream, snapshotsKey } from "../redis/keys.ts";
import { type SnapshotProgress, snapshotFacts } from "../snapshots/asks.ts";
import { leads, outOfStep } from "./candidacy.ts";
import { durable, Positions } from "./positions.ts";
import type { Role } from "./roles.ts";

/** More are not waited for. */
const followersMax = 16;
/** One that gives no sign of life for so long is forgotten: long enough to restore a backup, and start again. */
const silentMsMax = 600_000;

interface Seen {
  beat: string;
  since: number;
  positions: ReadonlyMap<string, string>;
}

interface Mark {
  readonly id: string;
  /** Bytes that were applied until then. */
  readonly bytes: number;
}

export interface FollowersOptions {
  readonly role: Role;
  /** The same for every process on the same files. */
  readonly followerId: string;
  /** Bytes of one log that are kept for followers. */
  readonly followerLogBytes: number;
  readonly log: Logger;
}

export class Followers {
  /** Whether this leader would follow, and has a place among the followers for that. */
  readonly keepsPlace: boolean;
  readonly #redis: Redis;
  readonly #reads: Redis;
  readonly #log: Logger;
  readonly #ownId: string;
  readonly #place: Positions;
  #hasPlace = false;
  /** Of each follower that gets a snapshot, from where on it will need which log. */
  readonly #kept = new Map<string, { readonly name: string; readonly id: string }>();
  /** Of each of them, how far it is. */
  readonly #sending = new Map<string, SnapshotProgress>();
  /** Bytes of one log that are kept for followers. */
  readonly #keptBytesMax: number;
  readonly #seen = new Map<string, Seen>();
  readonly #applied = new WeakMap<Collection, number>();
  readonly #marks = new WeakMap<Collection, Mark[]>();
  /** Of each follower and collection that a log was trimmed past: the log tells of each once. */
  readonly #passed = new Map<string, WeakSet<Collection>>();
  /** Where the logs begin, while there are followers. */
  #begins: ReadonlyMap<string, string> = new Map();

  constructor(redis: Redis, reads: Redis, { role, followerId, followerLogBytes, log }: FollowersOptions) {
    this.#ownId = followerId;
    this.#place = new Positions(redis, followerId);
    this.keepsPlace = role === "auto";
    this.#redis = redis;
    this.#reads = reads;
    this.#keptBytesMax = followerLogBytes;
    this.#log = log;
  }

  get any(): boolean {
    return this.#seen.size > 0;
  }

  /** For how long the follower has given no sign of life; undefined where none of that name is known. */
  silentMs(id: string): number | undefined {
    const seen = this.#seen.get(id);
    return seen && performance.now() - seen.since;
  }

  /** The follower gets files that end there, and is waited for as if it had them. Without a collection: no more. */
  keep(follower: string, name?: string, id?: string): void {
    this.#sending.delete(follower);
    if (name === undefined || id === undefined) this.#kept.delete(follower);
    else this.#kept.set(follower, { name, id });
  }

  /** Notes how much of what the follower gets is sent. */
  noteSent(follower: string, progress: SnapshotProgress): void {
    this.#sending.set(follower, progress);
  }

  /** Counts log bytes that were applied. */
  count(collection: Collection, bytes: number): void {
    this.#applied.set(collection, (this.#applied.get(collection) ?? 0) + bytes);
  }

  /** Looks which followers there are, and where. */
  async look(): Promise<void> {
    const all = Object.entries(await this.#reads.hgetall(followersKey));
    const beats = all.filter(([id]) => id !== this.#ownId);
    const now = performance.now();
    for (const [id, beat] of beats.slice(0, followersMax)) {
      const seen = this.#seen.get(id);
      const since = seen?.beat === beat ? seen.since : now;
      if (now - since > silentMsMax) await this.#forget(id);
      else this.#seen.set(id, { beat, since, positions: await readHash(this.#reads, followerKey(id)) });
    }
    this.#begins = beats.length === 0 ? new Map() : await readHash(this.#reads, collectionsKey);
    const named = new Set(beats.map(([id]) => id));
    for (const id of this.#seen.keys()) if (!named.has(id)) this.#seen.delete(id);
    for (const id of this.#passed.keys()) if (!this.#seen.has(id)) this.#passed.delete(id);
  }

  /**
   * Tells how far this leader is, as a follower would. When another one leads, that one keeps the logs from there, and
   * this one can follow.
   */
  async keepPlace(collections: readonly Collection[]): Promise<void> {
    if (!this.#hasPlace) {
      await this.#redis.hset(followersKey, this.#ownId, leads);
      await this.#place.begin();
      this.#hasPlace = true;
    }
    await this.#place.tell(durable(collections));
  }

  /** Up to where the log of the collection may be trimmed, whose checkpoint covers it up to `id`. */
  limit(collection: Collection, id: string): string {
    const marks = this.#marks.get(collection) ?? [{ id: collection.createdId, bytes: 0 }];
    const applied = this.#applied.get(collection) ?? 0;
    if (marks.at(-1)!.id !== id) marks.push({ id, bytes: applied });
    let least = id;
    for (const [follower, seen] of this.#seen) {
      const position = this.#positionOf(follower, seen, collection);
      const begin = this.#begins.get(collection.name);
      const hasGap = begin === undefined || compareIds(position, begin) < 0;
      if (hasGap || compareIds(position, least) >= 0) continue;
      const kept = applied - (marks.findLast((mark) => compareIds(mark.id, position) <= 0)?.bytes ?? 0);
      if (kept <= this.#keptBytesMax) least = position;
      else this.#reportPassed(follower, collection, kept);
    }
    while (marks.length > 1 && compareIds(marks[1]!.id, least) <= 0) marks.shift();
    this.#marks.set(collection, marks);
    return least;
  }

  #positionOf(follower: string, { positions }: Seen, { name, createdId }: Collection): string {
    const kept = this.#kept.get(follower);
    return kept?.name === name ? kept.id : (positions.get(name) ?? createdId);
  }

  /** For VSTORE.INFO. */
  facts(): Record<string, number> {
    const isOut = ({ beat }: Seen) => beat.endsWith(outOfStep);
    const all = [...this.#seen.values()];
    return {
      followers: all.length,
      followers_out_of_step: all.filter(isOut).length,
      ...snapshotFacts([...this.#sending.values()]),
    };
  }

  async #forget(id: string): Promise<void> {
    this.#seen.delete(id);
    await this.#redis.hdel(followersKey, id);
    await this.#redis.hdel(snapshotsKey, id);
    await this.#redis.unlink(followerKey(id), snapshotStream(id));
    this.#log.warn({ follower: id }, "a follower is forgotten: it gave no sign of life for 10 minutes");
  }

  #reportPassed(follower: string, collection: Collection, bytes: number): void {
    const passed = this.#passed.get(follower) ?? new WeakSet();
    this.#passed.set(follower, passed);
    if (passed.has(collection)) return;
    passed.add(collection);
    const facts = { follower, collection: collection.name, log_bytes: bytes };
    this.#log.warn(facts, "a log is trimmed further than a follower is");
  }
}
