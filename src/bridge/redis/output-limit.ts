/**
 * How much Redis lets the sidecar have at once. Redis closes a connection whose answer passes its
 * client-output-buffer-limit: a sidecar that meets a larger entry of a log could never go on, and one that asks for
 * several entries at once loses its session. By default there is no such limit.
 */
import type { Redis } from "ioredis";
import { limits } from "../../limits.ts";

const setting = "client-output-buffer-limit";
/** The largest payload, and the names of as many arguments as a command takes. */
const entryBytesMax = limits.payloadBytesMax + 4 * 1024 * 1024;

/** Bytes of streams together. Without the right to MEMORY USAGE it answers nil. */
const sizesOf = `
local sum = 0
for _, key in ipairs(KEYS) do
  if not redis.acl_check_cmd('MEMORY', 'USAGE', key) then return false end
  sum = sum + (redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0)
end
return sum`;

/** The sidecar needs no right to CONFIG, and a refusal would stand in the ACL log. */
const askedRight = "return redis.acl_check_cmd('CONFIG', 'GET', ARGV[1]) and 1 or 0";

/** Bytes of an answer at which Redis closes a connection; 0 where there is no limit, or Redis does not say. */
export async function outputLimitOf(redis: Redis): Promise<number> {
  const mayAsk = await redis.eval(askedRight, 0, setting).catch(() => 0);
  if (mayAsk !== 1) return 0;
  const answer = (await redis.config("GET", setting).catch(() => [])) as string[];
  return Number(/\bnormal (\d+) /.exec(answer[1] ?? "")?.[1] ?? 0);
}

/** What is wrong with the limit of Redis; undefined when nothing is, or Redis does not say. */
export async function outputLimitFault(redis: Redis): Promise<string | undefined> {
  const hard = await outputLimitOf(redis);
  if (hard === 0 || hard >= entryBytesMax) return undefined;
  return (
    `${setting} of normal clients is ${hard} bytes: Redis closes the connection that reads a larger entry of a log, ` +
    `and one may have ${entryBytesMax}; set it to "normal 0 0 0", or to at least so many`
  );
}

/** Entries of any size that an answer may have without passing the limit; Infinity where there is none. */
export function entriesWithin(limit: number): number {
  return limit === 0 ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(limit / entryBytesMax));
}

/** Whether everything in these streams together is below half of the limit. False where Redis does not say. */
export async function areBelow(redis: Redis, streams: readonly string[], limit: number): Promise<boolean> {
  const bytes = await redis.call("EVAL_RO", sizesOf, streams.length, ...streams).catch(() => undefined);
  return typeof bytes === "number" && bytes < limit / 2;
}

/**
 * Times at which a Redis that went on closed a connection of the sidecar, as it does beyond its limit. Of this process,
 * for VSTORE.INFO.
 */
export const closedConnections = { count: 0 };
