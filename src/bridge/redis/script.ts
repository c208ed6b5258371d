/**
 * Scripts that must work when Redis has reached maxmemory: trimming, which frees memory again, and putting logs in
 * order, which comes before it.
 */
import type { Redis } from "ioredis";

export const allowedInFullMemory = "#!lua flags=allow-oom\n";

/**
 * A script acts on what was read over another connection, so it must run on the server that was read: any other one
 * refuses it. The run id is the last argument.
 */
const proof = `
if not string.find(redis.call('INFO', 'server'), 'run_id:' .. table.remove(ARGV), 1, true) then
  return redis.error_reply('ERR this is another Redis server than the one that the sidecar reads')
end
`;

/** Run ids of the servers that connections are bound to. */
const bound = new WeakMap<Redis, string>();

/** From now on each script over this connection runs on the server with this run id, or not at all. */
export function bindScripts(redis: Redis, runId: string): void {
  bound.set(redis, runId);
}

/** A script that only reads, which no paused writes hold back. */
export function readByScript(
  redis: Redis,
  script: string,
  keys: readonly string[],
  ...args: readonly string[]
): Promise<unknown> {
  return redis.eval(`#!lua flags=no-writes\n${script}`, keys.length, ...keys, ...args);
}

export function runScript(
  redis: Redis,
  script: string,
  keys: readonly string[],
  ...args: readonly (string | number | Buffer)[]
): Promise<unknown> {
  const runId = bound.get(redis);
  if (runId === undefined)
    return redis.eval(`${allowedInFullMemory}${script}`, keys.length, ...keys, ...args);
  return redis.eval(`${allowedInFullMemory}${proof}${script}`, keys.length, ...keys, ...args, runId);
}
