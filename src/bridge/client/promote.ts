/**
 * Asks the leader to hand over to a follower that is in step. The leader looks for the key once a second, and goes on
 * serving until then; who it is shows in INFO.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { connect } from "../redis/connection.ts";
import { promoteKey } from "../redis/keys.ts";
import { readNames } from "../redis/node.ts";

/** How long the leader has to hand over. */
const patienceMs = 15_000;
const lookMs = 50;

/** @returns the id of the sidecar that leads now. @throws Error that says why, when none has taken over */
export async function promote(url: string): Promise<string> {
  const redis = await connect(url, "vstore-promote");
  try {
    await readNames(redis);
    const before = await stateOf(redis);
    if (!before.isAttached) throw new Error("no sidecar serves this Redis");
    if (before.ready === 0)
      throw new Error("no follower may take over: one with --role auto has to be connected and in step");
    await redis.set(promoteKey, "1", "PX", patienceMs);
    const until = performance.now() + patienceMs;
    while (performance.now() < until) {
      const { leader, isAttached } = await stateOf(redis);
      if (isAttached && leader !== before.leader) return leader;
      await delay(lookMs);
    }
    await redis.del(promoteKey);
    throw new Error(`the leader has not handed over within ${patienceMs / 1_000} s; its log says why`);
  } finally {
    redis.disconnect();
  }
}

interface LeadState {
  readonly leader: string;
  readonly isAttached: boolean;
  /** Followers that may take over. */
  readonly ready: number;
}

async function stateOf(redis: Redis): Promise<LeadState> {
  const text = await redis.info("vstore");
  const field = (name: string) => new RegExp(`^vstore_${name}:(.*)\r$`, "m").exec(text)?.[1];
  if (field("attached") === undefined) throw new Error("this Redis has no vstore module");
  return {
    leader: field("sidecar") ?? "",
    isAttached: field("attached") === "1",
    ready: Number(field("followers_ready") ?? 0),
  };
}
