/** The facts of a collection that an import or export needs before it begins. */
import type { Redis } from "ioredis";
import { codeOf } from "../redis/error-code.ts";

export interface Facts {
  readonly dimensions: number;
  readonly metric: string;
  readonly vectors: number;
  readonly hasAttributes: boolean;
  readonly hasExpiring: boolean;
}

/** Undefined when there is no such collection. @throws Error of Redis, such as VSTOREDOWN */
export async function factsOf(redis: Redis, collection: string): Promise<Facts | undefined> {
  try {
    const reply = (await redis.call("VSTORE.INFO", collection)) as (string | number)[];
    const fact = (name: string) => reply[reply.indexOf(name) + 1]!;
    return {
      dimensions: Number(fact("dimensions")),
      metric: String(fact("metric")),
      vectors: Number(fact("vectors")),
      hasAttributes: Number(fact("attributes_bytes")) > 0,
      hasExpiring: Number(fact("expiring")) > 0,
    };
  } catch (error) {
    if (codeOf(error) === "NOCOLLECTION") return undefined;
    throw error;
  }
}

export async function create(
  redis: Redis,
  collection: string,
  dimensions: number,
  metric: string,
): Promise<void> {
  await redis.call("VSTORE.CREATE", collection, "DIM", dimensions, "METRIC", metric, "NX");
}
