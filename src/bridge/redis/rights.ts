/**
 * The rights that the sidecar's Redis user needs: every command that the sidecar and its BullMQ queues send, on
 * vstore's own keys. They are checked before a session begins. Otherwise a missing right shows late: in a job that
 * fails, or in a trim that never comes. The rule for an ACL file is in docs/security.md.
 */
import type { Redis } from "ioredis";

/** Commands with keys; each may be used on all keys that begin with `vstore:`. */
const onKeys = [
  "bzpopmin del eval eval_ro evalsha exists get hdel hexists hget hgetall hincrby hlen hmget hmset hscan hset hsetnx",
  "incr incrby lindex llen lpop lpos lpush lrange lrem lset ltrim persist pexpire pexpireat pttl rename rpop rpoplpush",
  "rpush sadd scard set sismember smembers srem sscan type unlink xadd xdel xlen xrange xread xsetid xtrim",
  "zadd zcard zcount zlexcount zpopmin zrange zrangebylex zrangebyscore zrem zremrangebyrank zremrangebyscore",
  "zrevrange zrevrangebyscore zscore",
]
  .join(" ")
  .split(" ");

const onKeysWithSubcommand = ["xgroup|create", "xgroup|destroy", "xinfo|stream"];

/** Commands without keys. */
const others = [
  "client|id client|setname client|unblock command|info dbsize exec info multi ping scan time",
  "vstore.attach vstore.fetch vstore.follow vstore.handover vstore.join vstore.lead vstore.node vstore.release",
  "vstore.renew vstore.reply vstore.resync vstore.tell vstore.xread",
]
  .join(" ")
  .split(" ");

/** As ACL rules name them, without the plus sign. */
export const sidecarCommands: readonly string[] = [...onKeys, ...onKeysWithSubcommand, ...others].sort();

/** Every argument is a key of ours, so that only the rule for our keys matters. */
const key = "vstore:rights";

function sample(command: string): string[] {
  const [name, sub] = command.split("|");
  if (sub !== undefined)
    return onKeysWithSubcommand.includes(command) ? [name!, sub, key, "x"] : [name!, sub];
  if (name === "xread") return [name, "STREAMS", key, "0"];
  if (name!.startsWith("eval")) return [name!, "return 1", "1", key];
  return onKeys.includes(name!) ? [name!, ...Array<string>(4).fill(key)] : [name!];
}

/** Returns the commands that the user may not send. A command that this server does not know is not needed on it. */
const script = `
local missing = {}
for _, command in ipairs(cjson.decode(ARGV[1])) do
  local known, allowed = pcall(redis.acl_check_cmd, unpack(command))
  if known and not allowed then missing[#missing + 1] = command[1] .. (#command == 2 and ' ' .. command[2] or '') end
end
return missing`;

/** @throws Error that names every right that is missing, in one line */
export async function assertRights(redis: Redis): Promise<void> {
  const samples = JSON.stringify(sidecarCommands.map(sample));
  const missing = (await redis.eval(script, 0, samples)) as string[];
  if (missing.length === 0) return;
  const user = redis.options.username ?? "default";
  throw new Error(
    `the Redis user '${user}' lacks rights on the keys vstore:* (see docs/security.md): ${missing.join(", ")}`,
  );
}
