/**
 * Takes an entry whose id is far ahead of all clocks out of its stream, and sets the stream's last id back to where it
 * was before. Otherwise every later entry would be as far ahead, and after the largest id of all no stream takes
 * another entry.
 */
import type { Redis } from "ioredis";
import { runScript } from "../redis/script.ts";

/** Not where other entries have come after it: they keep their ids, and the stream goes on from those. */
const setBackScript = `
redis.call('XDEL', KEYS[1], ARGV[1])
if #redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+', 'COUNT', 1) > 0 then return 0 end
redis.call('XSETID', KEYS[1], ARGV[2])
return 1`;

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
  if ((await runScript(redis, setBackScript, [source.stream], id, position)) === 1) source.last = position;
}
