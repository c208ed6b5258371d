/** Hashes of a Redis, as RediSearch indexes them: keys with a prefix, a field of each with the vector's bytes. */
import type { Redis } from "ioredis";
import { connect } from "../redis/connection.ts";

const keysAtOnce = 500;
/** Characters that MATCH would take for a pattern. */
const special = /[*?[\]\\]/g;

export interface Hash {
  readonly key: Buffer;
  readonly fields: ReadonlyMap<string, Buffer>;
}

/** Each key once; a key that comes or goes meanwhile perhaps twice, or not at all. @throws Error of Redis */
export async function* readHashes(url: string, prefix: string): AsyncGenerator<Hash[]> {
  const redis = await connect(url, "vstore-import");
  const match = `${prefix.replaceAll(special, "\\$&")}*`;
  try {
    let cursor = "0";
    do {
      const [next, keys] = await redis.scanBuffer(
        cursor,
        "MATCH",
        match,
        "COUNT",
        keysAtOnce,
        "TYPE",
        "hash",
      );
      cursor = next.toString();
      if (keys.length > 0) yield await hashesOf(redis, keys);
    } while (cursor !== "0");
  } finally {
    redis.disconnect();
  }
}

async function hashesOf(redis: Redis, keys: readonly Buffer[]): Promise<Hash[]> {
  const replies = await Promise.all(keys.map((key) => redis.callBuffer("HGETALL", key) as Promise<Buffer[]>));
  return replies.flatMap((reply, i) => {
    const fields = new Map<string, Buffer>();
    for (let at = 0; at < reply.length; at += 2) fields.set(reply[at]!.toString(), reply[at + 1]!);
    // It was deleted meanwhile.
    return fields.size === 0 ? [] : [{ key: keys[i]!, fields }];
  });
}
