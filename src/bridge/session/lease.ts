/**
 * The lease of the one sidecar that may serve. The module keeps it, by its own monotonic clock, and closes the
 * connection of the holder before; what the sidecar holds is a text that only the two of them know. It is renewed by a
 * command that writes nothing, so neither paused writes nor a full memory nor an eviction end it.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { assertType } from "../redis/key-state.ts";
import { epochKey, leaderKey } from "../redis/keys.ts";

export const leaseMs = 5_000;
const protocolVersion = 2;
/** How long the end of a lease is waited for: it is a write, and writes may be paused. */
const releaseMsMax = 1_000;

export class Lease {
  /** What proves to the module who sends VSTORE.RENEW and VSTORE.ATTACH, on whatever connection. */
  readonly text: string;
  readonly #redis: Redis;
  readonly #sidecarId: string;
  /** By the monotonic clock, which goes on while the process is stopped. */
  #heldUntil: number;

  private constructor(redis: Redis, sidecarId: string, text: string, heldUntil: number) {
    this.#redis = redis;
    this.#sidecarId = sidecarId;
    this.text = text;
    this.#heldUntil = heldUntil;
  }

  /**
   * Makes the connection the one that leads, and the only one that may answer. Undefined while another sidecar holds
   * the lease.
   *
   * @throws Error that says why this sidecar may not lead
   */
  static async take(redis: Redis, sidecarId: string): Promise<Lease | undefined> {
    await assertType(redis, "string", leaderKey, epochKey);
    const asked = performance.now();
    const text = await redis.call("VSTORE.LEAD", protocolVersion, sidecarId, leaseMs);
    return typeof text === "string" ? new Lease(redis, sidecarId, text, asked + leaseMs) : undefined;
  }

  /** @throws Error when it is not ours any more */
  async renew(): Promise<void> {
    const asked = performance.now();
    await this.#redis.call("VSTORE.RENEW", this.text, leaseMs);
    this.#heldUntil = asked + leaseMs;
  }

  /** @throws Error when another sidecar may hold it by now */
  assertHeld(): void {
    if (performance.now() >= this.#heldUntil) throw new Error("the lease ran out");
  }

  async release(): Promise<void> {
    const released = this.#redis.call("VSTORE.LEAD", protocolVersion, this.#sidecarId, 0);
    await Promise.race([released, delay(releaseMsMax, undefined, { ref: false })]);
  }
}
