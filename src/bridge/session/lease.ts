/**
 * The lease of the one sidecar that may write: a key that expires unless its holder renews it. Its value carries
 * an epoch that no other holder ever had, so that a holder that was away too long cannot mistake its successor's
 * lease, or a later one of its own, for the one it lost. Taking it closes the connection of the holder before
 * (VSTORE.LEAD), so that whatever that one still sends goes nowhere.
 */
import type { Redis } from "ioredis";
import { assertType } from "../redis/key-state.ts";
import { epochKey, leaderKey } from "../redis/keys.ts";
import { runScript } from "../redis/script.ts";

export const leaseMs = 5_000;

/** The lease of our own last session, which is over, is taken at once; and what never expires is nobody's lease. */
const takeScript = `
local holder = redis.call('GET', KEYS[1])
local own = ARGV[1] .. ':'
local expires = redis.call('PTTL', KEYS[1]) >= 0
if holder and expires and string.sub(holder, 1, #own) ~= own then return false end
if not tonumber(redis.call('GET', KEYS[2]) or 0) then
  return redis.error_reply('ERR ' .. KEYS[2] .. ' should be a number and is a text; delete or rename that key')
end
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
  /** By the monotonic clock, which goes on while the process is stopped. */
  #heldUntil: number;

  private constructor(redis: Redis, value: string, heldUntil: number) {
    this.#redis = redis;
    this.#value = value;
    this.#heldUntil = heldUntil;
  }

  /** Undefined while another sidecar holds it. */
  static async take(redis: Redis, sidecarId: string): Promise<Lease | undefined> {
    await assertType(redis, "string", leaderKey, epochKey);
    const asked = performance.now();
    const value = await runScript(redis, takeScript, [leaderKey, epochKey], sidecarId, leaseMs);
    if (typeof value !== "string") return undefined;
    await redis.call("VSTORE.LEAD", value);
    return new Lease(redis, value, asked + leaseMs);
  }

  /** False once it is not ours any more. */
  async renew(): Promise<boolean> {
    const asked = performance.now();
    const renewed = (await this.#redis.eval(renewScript, 1, leaderKey, this.#value, leaseMs)) === 1;
    if (renewed) this.#heldUntil = asked + leaseMs;
    return renewed;
  }

  /** @throws Error when somebody else may hold it by now */
  assertHeld(): void {
    if (performance.now() >= this.#heldUntil) throw new Error("the lease ran out");
  }

  async release(): Promise<void> {
    await this.#redis.eval(releaseScript, 1, leaderKey, this.#value);
  }
}
