/**
 * Scripts that must work when Redis has reached maxmemory: trimming, which frees memory again, and putting logs in
 * order, which comes before it.
 */
import type { Redis } from "ioredis";
import { nodeTag } from "./keys.ts";

type Word = string | number | Buffer;

/**
 * A script acts on what was read over another connection, so it must run on the server that was read: any other one
 * refuses it. The run id is the last argument.
 */
const proof = `
if not string.find(redis.call('INFO', 'server'), 'run_id:' .. table.remove(ARGV), 1, true) then
  return redis.error_reply('ERR this is another Redis server than the one that the sidecar reads')
end
`;

/**
 * A node of a cluster refuses keys of several slots, also where all of them are its own. It lets a script use them that
 * has not named them: so they come as the last arguments, and their number behind them.
 */
const keysOfArguments = `
local KEYS = {}
for at = tonumber(table.remove(ARGV)), 1, -1 do KEYS[at] = table.remove(ARGV) end
`;

/** Run ids of the servers that connections are bound to. */
const bound = new WeakMap<Redis, string>();

/** From now on each script over this connection runs on the server with this run id, or not at all. */
export function bindScripts(redis: Redis, runId: string): void {
  bound.set(redis, runId);
}

/** The arguments of EVAL. */
export function evalWords(
  flags: string,
  script: string,
  keys: readonly Word[],
  args: readonly Word[],
): Word[] {
  if (nodeTag === "") return [`#!lua flags=${flags}\n${script}`, keys.length, ...keys, ...args];
  const text = `#!lua flags=${flags},allow-cross-slot-keys\n${keysOfArguments}${script}`;
  return [text, 0, ...args, ...keys, keys.length];
}

/** A script that only reads, which no paused writes hold back. */
export function readByScript(
  redis: Redis,
  script: string,
  keys: readonly string[],
  ...args: readonly string[]
): Promise<unknown> {
  return redis.call("EVAL", ...evalWords("no-writes", script, keys, args));
}

export function runScript(
  redis: Redis,
  script: string,
  keys: readonly string[],
  ...args: readonly Word[]
): Promise<unknown> {
  const runId = bound.get(redis);
  const isBound = runId !== undefined;
  const words = evalWords(
    "allow-oom",
    isBound ? proof + script : script,
    keys,
    isBound ? [...args, runId] : args,
  );
  return redis.call("EVAL", ...words);
}
