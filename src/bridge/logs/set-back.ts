/**
 * Takes an entry whose id is far ahead of all clocks out of its stream, and sets the stream's last id back to where it
 * was before. Otherwise every later entry would be as far ahead, and after the largest id of all no stream takes
 * another entry.
 */
import type { Redis } from "ioredis";
import { logsKey } from "../redis/keys.ts";
import { runScript } from "../redis/script.ts";
import { removedFunction } from "./removals.ts";

/**
 * Not where other entries have come after it: they keep their ids, and the stream goes on from those. Nor where the
 * server keeps the id of a deleted entry for ever (Valkey): there only an entry that is alone can be trimmed instead.
 */
const setBackScript = `${removedFunction}
local isAlone = redis.call('XLEN', KEYS[1]) == 1 and #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 1
local command = isAlone and {'XTRIM', KEYS[1], 'MAXLEN', 0} or {'XDEL', KEYS[1], ARGV[1]}
removed(KEYS[2], KEYS[1], redis.call(unpack(command)))
if #redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+', 'COUNT', 1) > 0 then return 0 end
return redis.pcall('XSETID', KEYS[1], ARGV[2]).ok and 1 or 0`;

/**
 * @param source how far the stream was read, corrected here
 * @param position the last id before the entry
 */
export async function setBack(
  redis: Redis,
  source: { readonly stream: string; last: string },
  id: string,
  position: string,
): Promise<void> {
  const wasSet = await runScript(redis, setBackScript, [source.stream, logsKey], id, position);
  if (wasSet === 1) source.last = position;
}
