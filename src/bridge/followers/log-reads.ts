/**
 * How a follower reads logs: some entries, and then how the log stands. One connection keeps that order, so a gap that
 * the entries have shows.
 */
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { compareIds, nextId } from "../../engine/log-id.ts";
import { type LogLook, lookAtLogs } from "../logs/removals.ts";
import { logStream } from "../redis/keys.ts";
import { decodeEntry, type Request } from "../requests/request.ts";

/** Entries of one read: between these, so that it has about as many bytes. */
const countMin = 1;
const countMax = 1_024;
const batchBytesTarget = 16 * 1024 * 1024;
/** Entries that are read before the leader tells how far: at least so many, or twice as many as it told last. */
const aheadMin = 16;
/** Logs that are read ahead: those that the leader told of last. */
const aheadLogsMax = 4;

type Entry = [id: Buffer, fields: Buffer[]];

export interface LogRead {
  /** Where the collection was. */
  readonly position: string;
  /** It has no more entries than these. */
  readonly count: number;
  readonly entries: readonly Entry[];
  readonly look: LogLook;
}

export type ReadAhead = ReadonlyMap<Collection, LogRead>;

/** What a log has up to an id. */
export interface LogPart {
  readonly requests: readonly Request[];
  /** Whether there is more up to that id. */
  readonly isCut: boolean;
  readonly look: LogLook;
}

export class LogReads {
  readonly #redis: Redis;
  readonly #catalog: Catalog;
  #count = countMin;
  #aheadCount = aheadMin;
  /** The latest last. */
  #recent: Collection[] = [];

  /** @param redis that does not wait */
  constructor(redis: Redis, catalog: Catalog) {
    this.#redis = redis;
    this.#catalog = catalog;
  }

  /**
   * What the log has from where the collection is to `end`.
   *
   * @param ahead what was read when the leader had told of `end`: what it withdraws must be gone already
   */
  async next(collection: Collection, end: string, ahead?: LogRead): Promise<LogPart> {
    const { position, entries, look, count } =
      ahead?.position === collection.position ? ahead : await this.#read(collection, end);
    const due = entries.filter(([id]) => compareIds(id.toString("latin1"), end) <= 0);
    const stream = logStream(collection.name);
    const requests = due.map(([id, fields]) => decodeEntry(stream, id.toString("latin1"), fields));
    const isCut = due.length === count;
    if (compareIds(position, end) < 0) this.#adjust(requests, isCut && count === this.#count);
    return { requests, isCut, look };
  }

  async #read(collection: Collection, end: string): Promise<LogRead> {
    const { name, position } = collection;
    const count = this.#count;
    const [entries, [look]] = await Promise.all([
      this.#redis.xrangeBuffer(logStream(name), nextId(position), end, "COUNT", count),
      lookAtLogs(this.#redis, [name]),
    ]);
    return { position, count, entries, look: look! };
  }

  /** The leader has told of these: it probably tells of them next. */
  noteTold(collections: readonly Collection[]): void {
    const others = this.#recent.filter((each) => !collections.includes(each));
    this.#recent = [...others, ...collections].slice(-aheadLogsMax);
  }

  /**
   * Reads, over a connection that waits for the leader, what it will tell of: Redis runs it when that wait ends, so
   * the entries come with the word that they may be applied. Must be called when the wait has been sent.
   */
  async readAhead(waiting: Redis): Promise<ReadAhead> {
    const count = Math.min(this.#count, this.#aheadCount);
    this.#recent = this.#recent.filter((each) => this.#catalog.find(each.name) === each);
    const from = this.#recent.map((collection) => [collection, collection.position] as const);
    if (from.length === 0) return new Map();
    const reads = from.map(([{ name }, position]) =>
      waiting.xrangeBuffer(logStream(name), nextId(position), "+", "COUNT", count),
    );
    const names = this.#recent.map(({ name }) => name);
    const [looks, ...found] = await Promise.all([lookAtLogs(waiting, names), ...reads]);
    return new Map(
      from.map(([collection, position], i) => [
        collection,
        { position, count, entries: found[i]!, look: looks[i]! },
      ]),
    );
  }

  #adjust(requests: readonly Request[], isFull: boolean): void {
    const bytes = requests.reduce((sum, request) => sum + request.bytes, 0);
    this.#aheadCount = Math.max(aheadMin, 2 * requests.length);
    if (bytes > batchBytesTarget)
      this.#count = Math.max(countMin, Math.floor((requests.length * batchBytesTarget) / bytes));
    else if (isFull && bytes < batchBytesTarget / 2) this.#count = Math.min(countMax, 2 * this.#count);
  }
}
