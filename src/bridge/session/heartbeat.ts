/**
 * What the sidecar repeats every second to stay the one that serves: it renews the lease and, once it serves,
 * tells the module that it is there. When the lease is lost, or could not be renewed in time, the session ends.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { type Lease, leaseMs } from "./lease.ts";
import type { Session } from "./session.ts";

const protocolVersion = 1;
const beatMs = 1_000;
const attachMs = 5_000;

export class Heartbeat {
  readonly #session: Session;
  readonly #lease: Lease;
  readonly #sidecarId: string;
  #attached = false;
  /** Done at every beat, after the lease was confirmed. */
  readonly #tasks: (() => Promise<void>)[] = [];

  constructor(session: Session, lease: Lease, sidecarId: string) {
    this.#session = session;
    this.#lease = lease;
    this.#sidecarId = sidecarId;
  }

  /** Beats until the session ends. */
  start(): void {
    void this.#run();
  }

  /** @throws Error when somebody else may lead by now */
  assertLeader(): void {
    this.#lease.assertHeld();
  }

  async attach(): Promise<void> {
    await this.#sendAttach();
    this.#attached = true;
  }

  async detach(): Promise<void> {
    this.#attached = false;
    await detach(this.#session.writer, this.#sidecarId);
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
    if (!(await within(leaseMs - beatMs, this.#lease.renew()))) throw new Error("the lease was lost");
    if (this.#attached) await this.#sendAttach();
    for (const task of this.#tasks) await task();
  }

  async #sendAttach(): Promise<void> {
    await this.#session.writer.call("VSTORE.ATTACH", protocolVersion, this.#sidecarId, attachMs);
  }
}

/** From now on clients hear at once that nobody serves them, unless another sidecar does. */
export async function detach(redis: Redis, sidecarId: string): Promise<void> {
  await redis.call("VSTORE.ATTACH", protocolVersion, sidecarId, 0);
}

/** The promise's value, or undefined when it takes longer than `ms`. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  const timer = new AbortController();
  try {
    return await Promise.race([promise, delay(ms, undefined, { signal: timer.signal })]);
  } finally {
    timer.abort();
  }
}
