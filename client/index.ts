/** `import … from "vstore/client"`. */
export type { Attributes } from "./base.ts";
export type * from "./commands.ts";
export type { Connection, IoredisConnection, NodeRedisConnection, Text } from "./connection.ts";
export * from "./errors.ts";
export type { Hit, Value } from "./replies.ts";
export {
  type CacheAnswer,
  type CacheCreateOptions,
  type CacheGetOptions,
  type CacheScope,
  type CacheSelection,
  type CacheSetOptions,
  SemanticCache,
  type SemanticCacheOptions,
  type WrapOptions,
} from "./semantic-cache.ts";
export { Vstore, type VstoreOptions } from "./vstore.ts";
export type { CallOptions, Query, Vector } from "./words.ts";
