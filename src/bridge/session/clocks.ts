/**
 * Checks that Redis and the sidecar agree about the time. Writes judge by the clock of Redis, reads by the sidecar's.
 * If one of them were far ahead, live keys would expire, for good.
 */
import type { Redis } from "ioredis";
import type { Clock } from "../../engine/clock.ts";
import { limits } from "../../limits.ts";

/** @throws Error that says what to do, when they do not */
export async function assertClocksAgree(redis: Redis, clock: Clock): Promise<void> {
  const [seconds] = await redis.time();
  const ahead = Number(seconds) * 1_000 - clock();
  if (Math.abs(ahead) <= limits.clockAheadMsMax) return;
  const state = `the clock of Redis is ${Math.abs(ahead)} ms ${ahead > 0 ? "ahead of" : "behind"} the sidecar's`;
  throw new Error(`${state}, at most ${limits.clockAheadMsMax} are accepted; correct the wrong one`);
}
