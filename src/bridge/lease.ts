/**
 * The lease of the one sidecar that may write: a key that expires unless its holder renews it. Its value carries
 * an epoch that no other holder ever had, so that a holder that was away too long cannot mistake its successor's
 * lease, or a later one of its own, for the one it lost.
 */
import type { Redis } from "ioredis";
import { epochKey, leaderKey } from "./streams.ts";

export const leaseMs = 5_000;

/** The lease of our own last session, which is over, is taken at once. */
const takeScript = `
local holder = redis.call('GET', KEYS[1])
local own = ARGV[1] .. ':'
if holder and string.sub(holder, 1, #own) ~= own then return false end
local value = own .. redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], value, 'PX', ARGV[2])
return value`;

const renewScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

const releaseScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`;

export class Lease {
  readonly #redis: Redis;
  readonly #value: string;

  private constructor(redis: Redis, value: string) {
    this.#redis = redis;
    this.#value = value;
  }

  /** Undefined while another sidecar holds it. */
  static async take(redis: Redis, sidecarId: string): Promise<Lease | undefined> {
    const value = await redis.eval(takeScript, 2, leaderKey, epochKey, sidecarId, leaseMs);
    return typeof value === "string" ? new Lease(redis, value) : undefined;
  }

  /** False once it is not ours any more. */
  async renew(): Promise<boolean> {
    return (await this.#redis.eval(renewScript, 1, leaderKey, this.#value, leaseMs)) === 1;
  }

  async release(): Promise<void> {
    await this.#redis.eval(releaseScript, 1, leaderKey, this.#value);
  }
}
