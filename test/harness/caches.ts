/** What tests of caches send, and what they get. */
import type { Redis } from "ioredis";

export type Word = string | number | Buffer;

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
