/** What tests of caches send, and what they get. */
import type { Redis } from "ioredis";
import { onTestFinished } from "vitest";
import { startRedis } from "../../harness/redis-server.ts";
import { startSidecar } from "../../harness/sidecar.ts";
import { connectClient } from "./serving.ts";

export type Word = string | number | Buffer;

export interface CachePlace {
  /** Arguments of redis-server. */
  readonly args?: readonly string[];
  readonly dataDir?: string | undefined;
}

/** A cache `c` of two dimensions, in a Redis that ends with the test; the sidecar is the test's to end. */
export async function startCache(options: readonly Word[], { args = [], dataDir }: CachePlace = {}) {
  const server = await startRedis({ args: [...args] });
  const sidecar = startSidecar({ redisUrl: server.url, ...(dataDir !== undefined && { dataDir }) });
  await sidecar.waitReady();
  const redis = connectClient(server.url);
  onTestFinished(async () => {
    redis.disconnect();
    await server.stop();
  });
  await redis.call("VSTORE.CACHE.CREATE", "c", "DIM", 2, ...options);
  return { server, sidecar, redis };
}

export interface Answer {
  readonly status: string;
  readonly id: string;
  readonly distance: number;
  readonly age: number;
  readonly value: string;
}

/** Of a RESP2 client; undefined for a miss. */
export function readAnswer(reply: unknown): Answer | undefined {
  if (reply === null) return undefined;
  const [, status, , id, , distance, , age, , value] = reply as (string | number)[];
  return {
    status: String(status),
    id: String(id),
    distance: Number(distance),
    age: Number(age),
    value: String(value),
  };
}

export async function cacheGet(redis: Redis, cache: string, ...words: Word[]): Promise<Answer | undefined> {
  return readAnswer(await redis.call("VSTORE.CACHE.GET", cache, ...words));
}

/** `SCOPE n field value …` */
export function scopeWords(scope: Readonly<Record<string, string>>): string[] {
  const parts = Object.entries(scope);
  return ["SCOPE", String(parts.length), ...parts.flat()];
}
