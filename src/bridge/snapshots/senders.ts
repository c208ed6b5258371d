/** The leader's side: one sender for each follower that asks for a snapshot, over a connection of their own. */
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import type { Logger } from "../../log.ts";
import type { Followers } from "../followers/followers.ts";
import { connect } from "../redis/connection.ts";
import { snapshotsKey } from "../redis/keys.ts";
import { assertServer } from "../redis/server.ts";
import type { Session } from "../session/session.ts";
import { Sender } from "./sender.ts";

export class Senders {
  readonly #session: Session;
  readonly #catalog: Catalog;
  readonly #followers: Followers;
  readonly #url: string;
  readonly #log: Logger;
  readonly #stopped = new AbortController();
  readonly #running = new Map<string, Promise<void>>();
  #connection: Promise<Redis> | undefined;
  #lastFault = "";

  constructor(session: Session, catalog: Catalog, followers: Followers, url: string, log: Logger) {
    this.#session = session;
    this.#catalog = catalog;
    this.#followers = followers;
    this.#url = url;
    this.#log = log;
    session.signal.addEventListener("abort", () => void this.stop(), { once: true });
  }

  /** Begins what is asked for. Once a second, after the followers were looked at. */
  async look(): Promise<void> {
    if (!this.#followers.any || this.#stopped.signal.aborted) return;
    for (const follower of Object.keys(await this.#session.answerer.hgetall(snapshotsKey))) {
      if (this.#running.has(follower) || this.#followers.silentMs(follower) === undefined) continue;
      const run = this.#send(follower).catch((error: Error) => this.#report(error));
      this.#running.set(follower, run);
      void run.finally(() => this.#ended(follower));
    }
  }

  /** Resolves when nothing is read or sent any more. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#disconnect();
    await Promise.all(this.#running.values());
  }

  async #send(follower: string): Promise<void> {
    this.#connection ??= this.#connect();
    const redis = await this.#connection;
    const { signal: stop } = this.#stopped;
    const options = { catalog: this.#catalog, followers: this.#followers, log: this.#log, follower, stop };
    await new Sender(redis, options).run();
  }

  async #connect(): Promise<Redis> {
    const redis = await connect(this.#url, "vstore-snapshots");
    await assertServer(redis, this.#session.runId);
    return redis;
  }

  #ended(follower: string): void {
    this.#running.delete(follower);
    if (this.#running.size === 0) this.#disconnect();
  }

  #disconnect(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.then(
      (redis) => redis.disconnect(),
      () => {},
    );
  }

  #report(error: Error): void {
    if (this.#stopped.signal.aborted || error.message === this.#lastFault) return;
    this.#lastFault = error.message;
    this.#log.warn({ error: error.message }, "a snapshot was not sent to its end");
  }
}
