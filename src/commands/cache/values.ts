/** What entries of a cache say of their values, for the bridge, which has them deleted. */
import { type EntryFacts, readEntry } from "./entry.ts";
import { addedToSet } from "./set.ts";

/** Of the value that may end with an entry of these attributes; undefined where there is none. */
export function releasable(attributes: Uint8Array | undefined): EntryFacts | undefined {
  return readEntry(attributes)?.facts;
}

/** Key and digest of the value that a SET has stored, by its arguments; undefined where it has stored none. */
export function valueOfSet(args: readonly Buffer[]): { key: Buffer; digest: string } | undefined {
  const [key, digest] = args.slice(-addedToSet);
  if (key === undefined || digest === undefined || key.length === 0) return undefined;
  return { key, digest: digest.toString("latin1") };
}
