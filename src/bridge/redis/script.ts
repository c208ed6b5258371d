/**
 * Scripts that must work when Redis has reached maxmemory, because they are what frees memory again, or what has to
 * happen before that: taking the lease, trimming, putting a log in order.
 */
import type { Redis } from "ioredis";

const allowedInFullMemory = "#!lua flags=allow-oom\n";

export function runScript(
  redis: Redis,
  script: string,
  keys: readonly string[],
  ...args: readonly (string | number | Buffer)[]
): Promise<unknown> {
  return redis.eval(`${allowedInFullMemory}${script}`, keys.length, ...keys, ...args);
}
