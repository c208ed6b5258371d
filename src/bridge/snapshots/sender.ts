/**
 * Sends one follower what it asks for: the last checkpoint of a collection, held while writes go on, in pieces of which
 * only so many are in Redis at a time. It waits for the follower to take them. It holds the checkpoint as long as the
 * follower asks, so that a follower that comes back goes on where it was.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import { compareIds } from "../../engine/log-id.ts";
import { HeldCheckpoint } from "../../engine/snapshots/held-checkpoint.ts";
import { VstoreError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { Followers } from "../followers/followers.ts";
import { inOneWrite } from "../redis/connection.ts";
import { collectionsKey, snapshotStream, snapshotsKey } from "../redis/keys.ts";
import {
  type Ask,
  decodeAsk,
  encodeMessage,
  expiryMs,
  type Message,
  manifestBytesMax,
  pieceBytes,
  piecesMax,
} from "./asks.ts";

/** Between two looks whether the follower has taken something: shorter while it does. */
const lookMs = { min: 2, max: 250 } as const;
/** A follower without a sign of life for so long gets no more pieces, and those in Redis are removed. */
const silentMsMax = 15_000;

/** How long it rests after each piece, as a multiple of the time that the piece took: searches go first. */
const restShare = 3;

export interface SenderOptions {
  readonly catalog: Catalog;
  readonly followers: Followers;
  /** Id of the one that asks. */
  readonly follower: string;
  readonly log: Logger;
  readonly stop: AbortSignal;
}

interface Copy {
  /** By which the follower knows it. */
  readonly id: string;
  readonly held: HeldCheckpoint;
}

export class Sender {
  readonly #redis: Redis;
  readonly #options: SenderOptions;
  readonly #stream: string;
  #copy: Copy | undefined;
  /** The ask that is being answered. */
  #ask = "";
  /** What the next piece begins with; infinitely far where it was refused. */
  #at = 0;

  /** @param redis a connection for large values */
  constructor(redis: Redis, options: SenderOptions) {
    this.#redis = redis;
    this.#options = options;
    this.#stream = snapshotStream(options.follower);
  }

  /** Resolves when the follower asks no more, or is forgotten. */
  async run(): Promise<void> {
    const { stop, followers, follower } = this.#options;
    let pauseMs: number = lookMs.min;
    try {
      while (!stop.aborted && followers.silentMs(follower) !== undefined) {
        const ask = await this.#redis.hget(snapshotsKey, follower);
        if (ask === null) break;
        const hasSent = await this.#answer(decodeAsk(ask)).catch(unlessFull);
        pauseMs = hasSent ? lookMs.min : Math.min(2 * pauseMs, lookMs.max);
        await delay(pauseMs, undefined, { signal: stop }).catch(() => {});
      }
      if (!stop.aborted) await this.#redis.unlink(this.#stream);
    } finally {
      await this.#letGo();
    }
  }

  /** @returns whether it has sent something */
  async #answer(ask: Ask | undefined): Promise<boolean> {
    if (ask === undefined) return false;
    if (ask.ask !== this.#ask) return this.#begin(ask);
    const { followers, follower } = this.#options;
    const length = await this.#redis.xlen(this.#stream);
    if (followers.silentMs(follower)! > silentMsMax) {
      if (length > 0) await this.#redis.unlink(this.#stream);
      return false;
    }
    const room = piecesMax - length;
    for (let sent = 0; sent < room; sent++) if (!(await this.#sendPiece())) return sent > 0;
    return room > 0;
  }

  /** Takes an ask up: what was sent before is void. */
  async #begin(ask: Ask): Promise<boolean> {
    await this.#redis.unlink(this.#stream);
    try {
      const { id, held } = await this.#copyFor(ask);
      const at = ask.copy === id ? Math.min(ask.at, held.bytes) : 0;
      // An earlier checkpoint of this leader is on its timelines, whatever they were called then.
      const { lineage } = this.#options.catalog.get(ask.collection);
      const manifest = JSON.stringify({ ...held.manifest, lineage });
      if (manifest.length > manifestBytesMax)
        throw new VstoreError("LIMIT", "its manifest is too large; seed the follower by a backup");
      await this.#send({ kind: "offer", ask: ask.ask, copy: id, at, manifest });
      this.#at = at;
      this.#noteSent(held.bytes);
      const facts = { follower: this.#options.follower, collection: ask.collection, at, bytes: held.bytes };
      this.#options.log.info(facts, "sending a snapshot");
    } catch (error) {
      await this.#refuse(ask.ask, error);
    }
    this.#ask = ask.ask;
    return true;
  }

  /** @returns false when there was none left */
  async #sendPiece(): Promise<boolean> {
    const { stop } = this.#options;
    const [copy, at] = [this.#copy, this.#at];
    if (copy === undefined || at >= copy.held.bytes || stop.aborted) return false;
    try {
      const began = performance.now();
      const bytes = await copy.held.read(at, pieceBytes);
      await this.#send({ kind: "piece", ask: this.#ask, copy: copy.id, at, bytes });
      this.#at += bytes.length;
      this.#noteSent(copy.held.bytes);
      await rest(performance.now() - began, stop);
    } catch (error) {
      await this.#refuse(this.#ask, error);
    }
    return true;
  }

  #noteSent(total: number): void {
    this.#options.followers.noteSent(this.#options.follower, { done: this.#at, total });
  }

  /** Tells the follower why it gets nothing, where the files are the cause. */
  async #refuse(ask: string, error: unknown): Promise<void> {
    if (!(error instanceof VstoreError)) throw error;
    this.#at = Number.POSITIVE_INFINITY;
    const { follower, log } = this.#options;
    log.warn({ follower, reason: error.message }, "a snapshot cannot be sent");
    await this.#send({ kind: "refusal", ask, reason: error.message });
  }

  async #send(message: Message): Promise<void> {
    const words = encodeMessage(message);
    await inOneWrite(this.#redis, () =>
      Promise.all([
        this.#redis.xadd(this.#stream, "*", ...words),
        this.#redis.pexpire(this.#stream, expiryMs),
      ]),
    );
  }

  /** The one that is held, if the log still begins where that ends; else the last checkpoint of now. */
  async #copyFor({ collection: name, created, copy }: Ask): Promise<Copy> {
    const { catalog, followers, follower } = this.#options;
    const { createdId } = catalog.get(name);
    if (createdId !== created) throw new VstoreError("NOCOLLECTION", `'${name}' was dropped`);
    const now = this.#copy;
    if (now !== undefined && now.id === copy && (await this.#isOfUse(now, name, created))) return now;
    await this.#letGo();
    const held = await HeldCheckpoint.hold(catalog.directory, name);
    this.#copy = { id: randomUUID(), held };
    if (held.manifest.createdId !== created) throw new VstoreError("NOCOLLECTION", `'${name}' was dropped`);
    // The log is kept from there on, as if the follower were there already.
    followers.keep(follower, name, held.manifest.appliedId);
    return this.#copy;
  }

  async #isOfUse({ held: { manifest } }: Copy, name: string, created: string): Promise<boolean> {
    const begin = await this.#redis.hget(collectionsKey, name);
    const isThis = manifest.name === name && manifest.createdId === created;
    return isThis && begin !== null && compareIds(begin, manifest.appliedId) <= 0;
  }

  async #letGo(): Promise<void> {
    const copy = this.#copy;
    this.#copy = undefined;
    this.#options.followers.keep(this.#options.follower);
    await copy?.held.close();
  }
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await delay(restShare * ms, undefined, { signal }).catch(() => {});
}

/** Redis has no room for a piece now, which changes. */
function unlessFull(error: Error): boolean {
  if (error.message.startsWith("OOM")) return false;
  throw error;
}
