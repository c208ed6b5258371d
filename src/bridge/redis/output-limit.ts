/**
 * Whether Redis lets the sidecar have the largest entry of a log. Redis closes a connection whose answer passes its
 * client-output-buffer-limit; a sidecar that meets such an entry could never go on.
 */
import type { Redis } from "ioredis";
import { limits } from "../../limits.ts";

const setting = "client-output-buffer-limit";
/** The largest payload, and the names of as many arguments as a command takes. */
const entryBytesMax = limits.payloadBytesMax + 4 * 1024 * 1024;

/** The sidecar needs no right to CONFIG, and a refusal would stand in the ACL log. */
const askedRight = "return redis.acl_check_cmd('CONFIG', 'GET', ARGV[1]) and 1 or 0";

/** What is wrong with the limit of Redis; undefined when nothing is, or Redis does not say. */
export async function outputLimitFault(redis: Redis): Promise<string | undefined> {
  const mayAsk = await redis.eval(askedRight, 0, setting).catch(() => 0);
  if (mayAsk !== 1) return undefined;
  const answer = (await redis.config("GET", setting).catch(() => [])) as string[];
  const hard = Number(/\bnormal (\d+) /.exec(answer[1] ?? "")?.[1] ?? 0);
  if (hard === 0 || hard >= entryBytesMax) return undefined;
  return (
    `${setting} of normal clients is ${hard} bytes: Redis closes the connection that reads a larger entry of a log, ` +
    `and one may have ${entryBytesMax}; set it to "normal 0 0 0", or to at least so many`
  );
}
