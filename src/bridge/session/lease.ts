/**
 * The lease of the one sidecar that may serve. The module keeps it, by its own monotonic clock, and closes the
 * connection of the previous holder. The sidecar holds a text that only the two of them know. It is renewed by a
 * command that writes nothing, so neither paused writes nor a full memory nor an eviction end it.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { assertType } from "../redis/key-state.ts";
import { epochKey, leaderKey } from "../redis/keys.ts";
import { Pulse } from "./pulse.ts";

export const leaseMs = 5_000;
/** How often it is renewed. */
export const beatMs = 1_000;
const attachMs = 5_000;
const protocolVersion = 2;
/** How long to wait for the end of a lease: ending it is a write, and writes may be paused. */
const releaseMsMax = 1_000;

export class Lease {
  /** Proves to the module that VSTORE.RENEW and VSTORE.ATTACH come from the leader, on any connection. */
  readonly text: string;
  readonly #redis: Redis;
  readonly #sidecarId: string;
  /** The number of this leader. */
  get epoch(): number {
    return Number(this.text.split(":").at(-2));
  }

  /** Until when it is held. */
  readonly pulse = new Pulse();

  private constructor(redis: Redis, sidecarId: string, text: string, asked: bigint) {
    this.#redis = redis;
    this.#sidecarId = sidecarId;
    this.text = text;
    this.pulse.hold(asked, leaseMs);
  }

  /**
   * Makes the connection the one that leads, and the only one that may answer. Undefined while another sidecar holds
   * the lease.
   *
   * @throws Error that says why this sidecar may not lead
   */
  static async take(redis: Redis, sidecarId: string): Promise<Lease | undefined> {
    await assertType(redis, "string", leaderKey, epochKey);
    const asked = Pulse.now();
    const text = await redis.call("VSTORE.LEAD", protocolVersion, sidecarId, leaseMs);
    return typeof text === "string" ? new Lease(redis, sidecarId, text, asked) : undefined;
  }

  /** @throws Error when it is not ours any more */
  renew(): Promise<void> {
    return sendRenew(this.#redis, this.text, this.pulse);
  }

  /** @throws Error when another sidecar may hold it by now */
  assertHeld(): void {
    if (!this.pulse.isHeld) throw new Error("the lease ran out");
  }

  async release(): Promise<void> {
    const released = this.#redis.call("VSTORE.LEAD", protocolVersion, this.#sidecarId, 0);
    await Promise.race([released, delay(releaseMsMax, undefined, { ref: false })]);
  }
}

/** On whatever connection. @throws Error when the lease is not ours any more */
export async function sendRenew(redis: Redis, lease: string, pulse: Pulse): Promise<void> {
  const asked = Pulse.now();
  await redis.call("VSTORE.RENEW", lease, leaseMs);
  pulse.hold(asked, leaseMs);
}

/**
 * Clients are served, or hear at once that they are not. Refused once another sidecar has taken over.
 *
 * @param syncFollowers how many followers have to apply a write before it is answered
 */
export async function sendAttach(
  redis: Redis,
  lease: string,
  isServing: boolean,
  syncFollowers = 0,
): Promise<void> {
  const needed = syncFollowers > 0 ? [syncFollowers] : [];
  await redis.call("VSTORE.ATTACH", lease, isServing ? attachMs : 0, ...needed);
}
