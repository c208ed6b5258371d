/** The flags of `vstore import`, as they are given. */
import type { AddressFlags } from "./address.ts";

export interface ImportFlags extends AddressFlags {
  readonly format?: string;
  readonly key?: string;
  readonly vector?: string;
  readonly attributes?: string;
  /** False with --no-expire-times. */
  readonly expireTimes?: boolean;
  readonly keyPrefix?: string;
  readonly keys?: string;
  readonly create?: true;
  readonly metric?: string;
  readonly connections?: string;
  readonly resume?: string;
  readonly skip?: string;
  readonly dryRun?: true;
  readonly maxErrors?: string;
  readonly fromRedis?: string;
  readonly prefix?: string;
  readonly vectorSet?: string;
  readonly fromPgvector?: string;
  readonly table?: string;
  readonly fromQdrant?: string;
  readonly collection?: string;
}
