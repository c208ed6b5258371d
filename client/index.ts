/** `import … from "vstore/client"`. */
export type { Attributes } from "./base.ts";
export type * from "./commands.ts";
export type { Connection, IoredisConnection, NodeRedisConnection, Text } from "./connection.ts";
export * from "./errors.ts";
export type { Hit, Value } from "./replies.ts";
export { Vstore, type VstoreOptions } from "./vstore.ts";
export type { CallOptions, Query, Vector } from "./words.ts";
