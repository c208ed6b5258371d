/**
 * What the sidecar repeats every second to stay the one that serves: it renews the lease and, once it serves,
 * tells the module that it is there. When the lease is lost, or could not be renewed in time, the session ends.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { type Lease, leaseMs } from "./lease.ts";
import type { Session } from "./session.ts";

const beatMs = 1_000;
const attachMs = 5_000;

export class Heartbeat {
  readonly #session: Session;
  readonly #lease: Lease;
  #attached = false;
  /** Done at every beat, after the lease was confirmed. */
  readonly #tasks: (() => Promise<void>)[] = [];

  constructor(session: Session, lease: Lease) {
    this.#session = session;
    this.#lease = lease;
  }

  /** Beats until the session ends. */
  start(): void {
    void this.#run();
  }

  /** @throws Error when another sidecar may lead by now */
  assertLeader(): void {
    this.#lease.assertHeld();
  }

  async attach(): Promise<void> {
    await this.#sendAttach();
    this.#attached = true;
  }

  async detach(): Promise<void> {
    this.#attached = false;
    await detach(this.#session.writer, this.#lease.text);
  }

  everyBeat(task: () => Promise<void>): void {
    this.#tasks.push(task);
  }

  async #run(): Promise<void> {
    const { signal } = this.#session;
    try {
      while (!signal.aborted) {
        await delay(beatMs, undefined, { signal });
        await this.#beat();
      }
    } catch (error) {
      this.#session.end(error as Error);
    }
  }

  async #beat(): Promise<void> {
    await within(leaseMs - beatMs, this.#lease.renew());
    if (this.#attached) await this.#sendAttach();
    for (const task of this.#tasks) await task();
  }

  async #sendAttach(): Promise<void> {
    await this.#session.writer.call("VSTORE.ATTACH", this.#lease.text, attachMs);
  }
}

/** From now on clients hear at once that nobody serves them. Refused once another sidecar has taken over. */
export async function detach(redis: Redis, lease: string): Promise<void> {
  await redis.call("VSTORE.ATTACH", lease, 0);
}

/** @throws Error when the promise takes longer than `ms` */
async function within(ms: number, promise: Promise<void>): Promise<void> {
  const timer = new AbortController();
  const limit = delay(ms, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`the lease could not be renewed within ${ms} ms`);
  });
  try {
    await Promise.race([promise, limit]);
  } finally {
    timer.abort();
    limit.catch(() => {});
  }
}
