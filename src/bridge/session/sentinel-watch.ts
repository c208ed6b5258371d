/**
 * Hears from Sentinels when another Redis is the primary. A session would notice it by its lost connections, but not
 * for a while where a machine is gone or the network is cut, and then a pause between two attempts may have begun.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Logger } from "../../log.ts";
import { type Sentinel, sentinelsOf } from "../redis/address.ts";
import { connectTo } from "../redis/connection.ts";

const channel = "+switch-master";
/** A connection that only listens would not show that the Sentinel is gone. */
const pingMs = 5_000;
/** After a connection was lost. */
const pauseMs = 1_000;

export class SentinelWatch {
  /** Called with the address of the new primary. */
  onSwitched = (_host: string, _port: number): void => {};
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #connections = new Set<Redis>();
  readonly #done: Promise<unknown>;
  /** What was told last: each Sentinel tells the same, one later than the other. */
  #last = "";

  /** Watches from now on until it is stopped; nothing where the URL names no Sentinels. */
  constructor(url: string, log: Logger) {
    this.#log = log;
    const { sentinels, name } = sentinelsOf(url);
    this.#done = Promise.all(sentinels.map((sentinel) => this.#watch(sentinel, name)));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    for (const redis of this.#connections) redis.disconnect();
    await this.#done;
  }

  async #watch(sentinel: Sentinel, name: string): Promise<void> {
    const { signal } = this.#stop;
    let isReported = false;
    while (!signal.aborted) {
      try {
        await this.#listen(sentinel, name);
      } catch (error) {
        if (!isReported && !signal.aborted) this.#report(sentinel, error as Error);
        isReported = true;
      }
      await delay(pauseMs, undefined, { signal }).catch(() => {});
    }
  }

  /** @throws when the connection is lost */
  async #listen(sentinel: Sentinel, name: string): Promise<void> {
    const { signal } = this.#stop;
    const redis = await connectTo(sentinel, "vstore-sentinel-watch");
    this.#connections.add(redis);
    try {
      redis.on("message", (_, text: string) => this.#heard(text, name));
      await redis.subscribe(channel);
      while (!signal.aborted) {
        await redis.ping();
        await delay(pingMs, undefined, { signal }).catch(() => {});
      }
    } finally {
      this.#connections.delete(redis);
      redis.disconnect();
    }
  }

  /** `<name> <old host> <old port> <new host> <new port>` */
  #heard(text: string, wanted: string): void {
    const [name, , , host, port] = text.split(" ");
    const primary = `${host} ${port}`;
    if (name !== wanted || primary === this.#last || host === undefined) return;
    this.#last = primary;
    this.#log.info({ primary: `${host}:${port}` }, "the Sentinels name another primary");
    this.onSwitched(host, Number(port));
  }

  #report({ host, port }: Sentinel, { message }: Error): void {
    this.#log.warn({ sentinel: `${host}:${port}`, error: message }, "a Sentinel cannot be listened to");
  }
}
