/**
 * Fetches one collection from the leader into the data directory of a follower. It asks for the bytes from where those
 * that have arrived end, takes the pieces out of the stream, and asks again when one is missing, damaged, or late.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Manifest } from "../../engine/disk/manifest.ts";
import { Arrival } from "../../engine/snapshots/arrival.ts";
import { DamagedFileError, VstoreError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { inOneWrite } from "../redis/connection.ts";
import { snapshotStream, snapshotsKey } from "../redis/keys.ts";
import {
  type Ask,
  decodeMessage,
  type Message,
  type Offer,
  type Piece,
  quietMsMax,
  type SnapshotProgress,
} from "./asks.ts";

/** Between two looks at an empty stream. */
const lookMs = { min: 2, max: 50 } as const;
/** Pieces that are read at once. */
const readMax = 4;

type Entry = [id: Buffer, fields: Buffer[]];

export interface FetchOptions {
  readonly followerId: string;
  /** The data directory. */
  readonly directory: string;
  readonly collection: string;
  /** Id of its CREATE. */
  readonly created: string;
  readonly log: Logger;
  readonly stop: AbortSignal;
}

export class Fetch {
  readonly #redis: Redis;
  readonly #options: FetchOptions;
  readonly #stream: string;
  #arrival: Arrival | undefined;
  #ask = "";
  /** Whether the leader has answered the ask. */
  #isOffered = false;

  constructor(redis: Redis, options: FetchOptions) {
    this.#redis = redis;
    this.#options = options;
    this.#stream = snapshotStream(options.followerId);
  }

  /** Where the files end that arrive; undefined before that is known. */
  get appliedId(): string | undefined {
    return this.#isOffered ? this.#arrival?.manifest.appliedId : undefined;
  }

  /** How much has arrived; undefined before the leader has answered. */
  get progress(): SnapshotProgress | undefined {
    const arrival = this.#isOffered ? this.#arrival : undefined;
    return arrival && { done: arrival.position, total: arrival.bytes };
  }

  /**
   * Resolves when all files are here, compared and durable. Ends early at `stop`.
   *
   * @throws {VstoreError} FULL; DAMAGED when they are not what they should be, and what has arrived is gone then; ERR
   * when the leader does not send them
   */
  async run(): Promise<void> {
    const { directory, collection, stop } = this.#options;
    try {
      this.#arrival = await Arrival.resume(directory, collection);
      while (!this.#isWhole && !stop.aborted) await this.#askAndTake();
      if (!stop.aborted) await this.#arrival!.finish();
    } catch (error) {
      if (error instanceof DamagedFileError) await this.#arrival?.discard();
      throw error;
    } finally {
      await this.#arrival?.close();
    }
  }

  get #isWhole(): boolean {
    return this.#isOffered && this.#arrival?.position === this.#arrival?.bytes;
  }

  async #askAndTake(): Promise<void> {
    const { followerId, collection, created } = this.#options;
    const arrival = this.#arrival;
    this.#ask = randomUUID();
    this.#isOffered = false;
    const ask: Ask = { ask: this.#ask, collection, created, copy: arrival?.copy, at: arrival?.position ?? 0 };
    await this.#redis.hset(snapshotsKey, followerId, JSON.stringify(ask));
    await this.#takeAll();
  }

  /** Until all is there, or the ask has to be repeated. */
  async #takeAll(): Promise<void> {
    const { stop } = this.#options;
    let pauseMs: number = lookMs.min;
    let heardAt = performance.now();
    let entries = await this.#look();
    while (!this.#isWhole && !stop.aborted) {
      if (entries.length > 0) {
        const isInOrder = await this.#takeEntries(entries);
        entries = await this.#look(entries);
        if (!isInOrder) return;
        heardAt = performance.now();
        pauseMs = lookMs.min;
        continue;
      }
      if (performance.now() - heardAt > quietMsMax) return;
      await delay(pauseMs, undefined, { signal: stop }).catch(() => {});
      pauseMs = Math.min(2 * pauseMs, lookMs.max);
      entries = await this.#look();
    }
  }

  /** What the stream has. @param taken entries that it is to have no more, the bad ones too */
  async #look(taken: readonly Entry[] = []): Promise<readonly Entry[]> {
    const [entries] = await inOneWrite(this.#redis, () => {
      const removed = taken.length > 0 ? this.#redis.xdel(this.#stream, ...taken.map(([id]) => id)) : 0;
      return Promise.all([this.#redis.xrangeBuffer(this.#stream, "-", "+", "COUNT", readMax), removed]);
    });
    return entries;
  }

  /** @returns false when the ask has to be repeated */
  async #takeEntries(entries: readonly Entry[]): Promise<boolean> {
    let isInOrder = true;
    for (const [, fields] of entries) isInOrder &&= await this.#take(fields);
    return isInOrder;
  }

  /** @returns false when the ask has to be repeated */
  async #take(fields: readonly Buffer[]): Promise<boolean> {
    const message = decodeMessage(fields);
    if (message === undefined) {
      const { collection, log } = this.#options;
      log.warn({ collection }, "a piece of a snapshot does not match its checksum; asking for it again");
      return false;
    }
    if (message.ask !== this.#ask) return true; // of an earlier one
    return this.#takeMessage(message);
  }

  async #takeMessage(message: Message): Promise<boolean> {
    if (message.kind === "offer") return this.#takeOffer(message);
    if (message.kind === "piece") return this.#takePiece(message);
    throw new VstoreError("ERR", `the leader does not send a snapshot: ${message.reason}`);
  }

  async #takeOffer({ copy, at, manifest: text }: Offer): Promise<boolean> {
    const { directory, collection, log } = this.#options;
    if (this.#arrival?.copy !== copy) {
      const manifest = JSON.parse(text) as Manifest;
      await this.#arrival?.close();
      this.#arrival = await Arrival.begin(directory, collection, copy, manifest);
    }
    this.#isOffered = this.#arrival.position === at;
    const { bytes } = this.#arrival;
    log.info({ collection, at, bytes }, "receiving a snapshot");
    return this.#isOffered;
  }

  async #takePiece({ copy, at, bytes }: Piece): Promise<boolean> {
    const arrival = this.#arrival;
    if (!this.#isOffered || arrival?.copy !== copy || arrival.position !== at) return false;
    await arrival.add(bytes);
    return true;
  }
}
