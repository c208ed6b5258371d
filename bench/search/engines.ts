/** Every engine that can be measured, in the order of the tables. */
import type { EngineKind } from "./engine.ts";
import { chroma } from "./engines/chroma.ts";
import { faissKinds } from "./engines/faiss.ts";
import { hnswlib } from "./engines/hnswlib.ts";
import { redisVectorSets } from "./engines/redis-vector-sets.ts";
import { usearchKinds } from "./engines/usearch.ts";
import { vstoreKinds } from "./engines/vstore.ts";
import { vstoreRedis } from "./engines/vstore-redis.ts";

export const engineKinds: readonly EngineKind[] = [
  ...vstoreKinds,
  vstoreRedis,
  redisVectorSets,
  hnswlib,
  ...usearchKinds,
  ...faissKinds,
  chroma,
];

export const engineNames: readonly string[] = engineKinds.map(({ name }) => name);

export function engineKind(name: string): EngineKind {
  return engineKinds.find((kind) => kind.name === name)!;
}
