/**
 * Detects logs that another client has changed. A stream counts the entries that were ever added to it and those that
 * it still has. vstore knows how many it has removed itself: each of its scripts that removes entries adds them up in
 * vstore:logs, in the same step. A client has removed the rest (XTRIM, XDEL, XADD … MAXLEN). When the whole stream goes
 * or is replaced (RESTORE, COPY, RENAME), the module writes `replaced` there, whether a sidecar is there or not. Both
 * stand in Redis beside the log, so a restart, a replica that takes over and an older snapshot have them as they belong
 * together.
 */
import type { Redis } from "ioredis";
import { typeFunction } from "../redis/key-state.ts";
import { collectionsKey, logStream, logsKey, timelinesKey } from "../redis/keys.ts";
import { readByScript, runScript } from "../redis/script.ts";
import { markField, timelineOf } from "./lineage.ts";

/** Logs of one script: Redis does nothing else meanwhile. */
const logsPerScript = 128;

/** For scripts: `removed(key of vstore:logs, log, how many)` notes what they have removed from a log. */
export const removedFunction = `
local function removed(logs, log, count)
  if count > 0 and tonumber(redis.call('HGET', logs, log) or '') then
    redis.call('HINCRBY', logs, log, count)
  end
  return count
end
`;

const goneFunction = `
local function gone(log)
  local info, found = redis.call('XINFO', 'STREAM', log), {}
  for at = 1, #info, 2 do found[info[at]] = info[at + 1] end
  return found['entries-added'] - found['length'], found['last-generated-id']
end
`;

const lookScript = `${typeFunction}${goneFunction}
local looks, timeline = {}, redis.call('HGET', KEYS[3], table.remove(ARGV)) or ''
for i = 4, #KEYS do
  local count, last, type = 0, '', typeOf(KEYS[i])
  if type == 'stream' then count, last = gone(KEYS[i]) end
  local noted, begin = redis.call('HGET', KEYS[1], KEYS[i]), redis.call('HGET', KEYS[2], ARGV[i - 3])
  looks[i - 3] = {last, count, noted or '', begin or '', type == 'elsewhere' and 1 or 0, timeline}
end
return looks`;

/** The state of one log in Redis. */
export interface LogLook {
  /** The last id that it ever had; undefined when there is no stream. */
  readonly last: string | undefined;
  /** Whether it is as vstore made it; undefined when nothing was noted yet. */
  readonly isIntact: boolean | undefined;
  /** The id that it begins after, by vstore:collections; undefined when that does not name the collection. */
  readonly begin: string | undefined;
  /** Whether it lies on another node of the cluster. */
  readonly isElsewhere: boolean;
  /** The timeline that the logs are on; "" where that is not known. */
  readonly timeline: string;
}

type RawLook = [last: string, gone: number, noted: string, begin: string, elsewhere: number, mark: string];

/** Looks at the logs of these collections, in order. */
export async function lookAtLogs(redis: Redis, collections: readonly string[]): Promise<LogLook[]> {
  const looks: LogLook[] = [];
  for (let from = 0; from < collections.length; from += logsPerScript) {
    const names = collections.slice(from, from + logsPerScript);
    const keys = [logsKey, collectionsKey, timelinesKey, ...names.map(logStream)];
    for (const raw of (await readByScript(redis, lookScript, keys, ...names, markField)) as RawLook[])
      looks.push(lookOf(raw));
  }
  return looks;
}

function lookOf([last, gone, noted, begin, elsewhere, mark]: RawLook): LogLook {
  return {
    last: last === "" ? undefined : last,
    isIntact: noted === "" ? undefined : Number(noted) === gone,
    begin: begin === "" ? undefined : begin,
    isElsewhere: elsewhere === 1,
    timeline: timelineOf(mark),
  };
}

/** Accepts the log as it is now. */
export async function acceptLog(redis: Redis, collection: string): Promise<void> {
  const script = `${goneFunction}
    if redis.call('TYPE', KEYS[2]).ok ~= 'stream' then return redis.call('HDEL', KEYS[1], KEYS[2]) end
    return redis.call('HSET', KEYS[1], KEYS[2], (gone(KEYS[2])))`;
  await runScript(redis, script, [logsKey, logStream(collection)]);
}
