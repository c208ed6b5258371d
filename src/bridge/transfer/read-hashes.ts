/** Hashes of a Redis, as RediSearch indexes them: keys with a prefix, a field of each with the vector's bytes. */
import type { Redis } from "ioredis";
import { connect } from "../redis/connection.ts";
import { runIdOf } from "../redis/server.ts";

const keysAtOnce = 500;
/** Characters that MATCH would take for a pattern. */
const special = /[*?[\]\\]/g;

export interface Hash {
  readonly key: Buffer;
  readonly fields: ReadonlyMap<string, Buffer>;
}

export interface HashPage {
  readonly hashes: readonly Hash[];
  /** Where SCAN goes on behind it; "0" at the end. It holds for as long as the server runs. */
  readonly next: string;
  /** Run id of the server. */
  readonly server: string;
}

/**
 * Each key once; a key that comes or goes meanwhile perhaps twice, or not at all.
 *
 * @param from "0", or where an earlier page of the same server goes on
 * @throws Error of Redis
 */
export async function* readHashes(url: string, prefix: string, from = "0"): AsyncGenerator<HashPage> {
  const redis = await connect(url, "vstore-import");
  const match = `${prefix.replaceAll(special, "\\$&")}*`;
  try {
    const server = await runIdOf(redis);
    let cursor = from;
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
      if (keys.length > 0) yield { hashes: await hashesOf(redis, keys), next: cursor, server };
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
