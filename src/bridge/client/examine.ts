/** `vstore doctor` for a Redis: can vstore work with it, and is it configured so that nothing is lost? */
import type { Redis } from "ioredis";
import { connect } from "../redis/connection.ts";
import { outputLimitFault } from "../redis/output-limit.ts";
import { checkServer, infoField } from "../redis/server.ts";

/** bad: vstore cannot work. warning: it works, and something may be lost or slow. */
export interface Finding {
  readonly what: string;
  readonly state: "ok" | "warning" | "bad";
  /** The state and, unless it is good, what to change. */
  readonly says: string;
}

export async function examineRedis(url: string): Promise<Finding[]> {
  let redis: Redis;
  try {
    redis = await connect(url, "vstore-doctor");
  } catch (error) {
    return [{ what: "Redis", state: "bad", says: `cannot be reached: ${(error as Error).message}` }];
  }
  try {
    return await questions(redis);
  } finally {
    redis.disconnect();
  }
}

async function questions(redis: Redis): Promise<Finding[]> {
  const fault = await checkServer(redis).then(
    () => undefined,
    (error: Error) => error.message,
  );
  const info = await redis.info().catch(() => "");
  const version = infoField(info, "valkey_version") || infoField(info, "redis_version");
  const server: Finding = {
    what: "Redis",
    state: fault ? "bad" : "ok",
    says: fault ?? `version ${version}, with the module`,
  };
  return [
    server,
    ...(fault === undefined ? await attachment(redis) : []),
    ...persistence(info),
    ...memory(info),
    await answers(redis),
  ];
}

async function attachment(redis: Redis): Promise<Finding[]> {
  const isAttached = /attached:1/.test(await redis.info("vstore"));
  const says = isAttached ? "one is attached" : "none is attached; start `vstore serve`";
  return [{ what: "sidecar", state: isAttached ? "ok" : "warning", says }];
}

function persistence(info: string): Finding[] {
  const isOn = infoField(info, "aof_enabled") === "1";
  const says = isOn
    ? "appendonly yes"
    : "appendonly no: a write that no checkpoint covers is lost with Redis; set it to yes";
  return [{ what: "AOF", state: isOn ? "ok" : "warning", says }];
}

async function answers(redis: Redis): Promise<Finding> {
  const fault = await outputLimitFault(redis);
  return {
    what: "output buffer",
    state: fault === undefined ? "ok" : "warning",
    says: fault ?? "the largest entry passes",
  };
}

function memory(info: string): Finding[] {
  const policy = infoField(info, "maxmemory_policy");
  const isSafe = !policy.startsWith("allkeys-");
  const advice = `maxmemory-policy ${policy} may evict a log; set it to noeviction or volatile-*`;
  const memory: Finding = {
    what: "eviction",
    state: isSafe ? "ok" : "warning",
    says: isSafe ? policy : advice,
  };
  return [memory];
}
