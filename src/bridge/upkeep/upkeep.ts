/**
 * The leader's work beside serving: checkpoints, trimming, compactions and the removal of expired keys. Serving works
 * without it, as on a follower, which trims nothing and keeps files of its own.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import type { Logger } from "../../log.ts";
import { Followers, type FollowersOptions } from "../followers/followers.ts";
import { connect } from "../redis/connection.ts";
import { assertServer } from "../redis/server.ts";
import type { Heartbeat } from "../session/heartbeat.ts";
import type { Session } from "../session/session.ts";
import { Senders } from "../snapshots/senders.ts";
import { Checkpointer } from "./checkpointer.ts";
import { Compactions } from "./compactions.ts";
import { Evictions } from "./evictions.ts";
import { Schedule } from "./schedule.ts";
import { Sweeps } from "./sweeps.ts";
import { Trimmer } from "./trimmer.ts";

/** BullMQ's own shutdown may hang when its connections have died. */
const stopMsMax = 2_000;

export interface UpkeepOptions extends FollowersOptions {
  readonly url: string;
  readonly checkpointIntervalMs: number;
  /** Bytes of log applied since the last checkpoint that bring the next one forward. */
  readonly checkpointLogBytes: number;
  readonly log: Logger;
}

export class Upkeep {
  readonly #session: Session;
  readonly #catalog: Catalog;
  readonly #options: UpkeepOptions;
  readonly followers: Followers;
  readonly #trimmer: Trimmer;
  readonly #checkpointer: Checkpointer;
  readonly #senders: Senders;
  readonly #evictions: Evictions;
  #schedule: Schedule | undefined;
  #compactions: Compactions | undefined;
  #sweeps: Sweeps | undefined;
  #starting: Promise<void> = Promise.resolve();

  constructor(session: Session, catalog: Catalog, options: UpkeepOptions) {
    this.#session = session;
    this.#catalog = catalog;
    this.#options = options;
    const { writer, answerer } = session;
    this.followers = new Followers(writer, answerer, options);
    this.#senders = new Senders(session, catalog, this.followers, options.url, options.log);
    this.#trimmer = new Trimmer(writer, catalog, this.followers);
    this.#evictions = new Evictions(writer, session.signal, options.log);
    this.#checkpointer = new Checkpointer(catalog, {
      logBytesMax: options.checkpointLogBytes,
      intervalMs: options.checkpointIntervalMs,
      log: options.log,
      afterwards: (collection) => this.#trimmer.trim([collection]),
    });
  }

  /** Work that is due by time and not by a job, so that it happens without BullMQ too. */
  beatWith(heartbeat: Heartbeat): void {
    heartbeat.everyBeat(async () => {
      await this.followers.look();
      await this.#senders.look();
      await this.#trimmer.trim();
      if (this.followers.keepsPlace) await this.followers.keepPlace(this.#catalog.collections());
    });
    heartbeat.everyBeat(() => this.#checkpointer.catchUp());
    heartbeat.everyBeat(async () => this.#sweeps?.follow());
    heartbeat.everyBeat(async () => {
      for (const collection of this.#catalog.collections()) this.#evictions.look(collection);
    });
  }

  /** Counts log bytes that were applied; many of them bring the next checkpoint forward. */
  count(collection: Collection, bytes: number): void {
    this.#checkpointer.count(collection, bytes);
    this.followers.count(collection, bytes);
    this.#evictions.look(collection);
  }

  /** Starts the jobs in the background: clients are served meanwhile, and without them. */
  start(): void {
    this.#starting = this.#start();
  }

  /** Resolves when the jobs have stopped, or after a named time. */
  async stop(): Promise<void> {
    const stopped = this.#starting.then(() => this.#stopJobs());
    await Promise.race([stopped, delay(stopMsMax, undefined, { ref: false })]);
  }

  async #start(): Promise<void> {
    const { url, checkpointIntervalMs, log } = this.#options;
    try {
      const redis = await connect(url, "vstore-bullmq", {
        enableOfflineQueue: true,
        socketTimeout: undefined,
      });
      await assertServer(redis, this.#session.runId);
      this.#compactions = new Compactions(redis, this.#catalog, log);
      this.#sweeps = new Sweeps(redis, this.#session.writer, this.#catalog, log);
      this.#schedule = new Schedule(redis, checkpointIntervalMs, () => this.#checkpointAndTidy(), log);
      await this.#schedule.start();
    } catch (error) {
      if (!this.#session.signal.aborted)
        log.warn({ error: (error as Error).message }, "no checkpoint schedule");
    }
  }

  /** The schedule last: the connection that all of them use goes with it. */
  async #stopJobs(): Promise<void> {
    await Promise.all([this.#compactions?.stop(), this.#sweeps?.stop(), this.#senders.stop()]);
    await this.#schedule?.stop();
  }

  /** Makes checkpoints of changed collections. Dead slots are counted then, when the files are safe anyway. */
  async #checkpointAndTidy(): Promise<void> {
    for (const collection of this.#catalog.collections()) {
      if (this.#session.signal.aborted) return;
      if (!collection.isCovered) await this.#checkpointer.checkpoint(collection.name);
      await this.#compactions?.offer(collection);
    }
  }
}
