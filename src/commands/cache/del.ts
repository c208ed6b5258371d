/**
 * VSTORE.CACHE.DEL: ends entries by their ids, by a tag, or by their scope or a part of it. The vectors end here; the
 * bridge has the values deleted, each only while it is still the one of its entry.
 */
import type { Collection } from "../../engine/collection.ts";
import { TimeSlice } from "../../engine/time-slice.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type Context, define } from "../command.ts";
import { afterToken, collection, many, oneOf, sequence, value } from "../grammar/arguments.ts";
import { idBytes } from "../grammar/values.ts";
import { scope, tag } from "./arguments.ts";
import { assertFields, type Cache, cacheOf, keyOf, type ScopePart } from "./cache.ts";
import { readEntry } from "./entry.ts";

type Selection = { ids: Uint8Array[] } | { tag: string } | { scope: ScopePart[] };

const { cacheDeletedMax } = limits;
/** More ids are looked for in slices. */
const idsAtOnceMax = 100;

export const cacheDel = define({
  name: "CACHE.DEL",
  summary: "Deletes entries of a cache: by id, by tag, or by scope.",
  complexity: "O(K), K being the number of entries; O(N) for a TAG or SCOPE that was not used lately",
  route: "log",
  caches: "only",
  args: sequence({
    collection,
    selection: oneOf("selection", {
      ids: afterToken("ID", many(value("id", "string", idBytes), limits.keysMax)),
      tag: afterToken("TAG", tag),
      scope,
    }),
  }),
  reply:
    `the number of entries deleted, those that were set first before others; with TAG and SCOPE at most ${cacheDeletedMax}: ` +
    "where it is that many, there may be more",
  replyType: "number",
  stage(context, { collection: name, selection }) {
    const cache = cacheOf(context.catalog, name);
    const isFew = "ids" in selection && selection.ids.length <= idsAtOnceMax;
    return isFew ? undefined : stage(context, cache, selection);
  },
  /** Of few ids. */
  run({ catalog, time, release }, { collection: name, selection }) {
    const { collection } = cacheOf(catalog, name);
    const keys = (selection as { ids: Uint8Array[] }).ids.map((id) => keyOf(name, id));
    const values = keys.map((key) => digestOf(collection, key, time));
    const deleted = collection.delete(keys, time);
    releaseAll(release, name, keys, values);
    return deleted;
  },
});

/** In slices: the attributes of an entry have some kilobytes. No other write of the cache comes in between. */
async function stage({ time, release }: Context, cache: Cache, selection: Selection): Promise<() => number> {
  const { collection } = cache;
  const keys = await keysOf(cache, selection, time);
  const values: (string | undefined)[] = [];
  const slice = new TimeSlice();
  for (const key of keys) {
    values.push(digestOf(collection, key, time));
    if (slice.spent) await slice.pause();
  }
  const apply = await collection.deleteMany(keys, time);
  return () => {
    const deleted = apply();
    releaseAll(release, collection.name, keys, values);
    return deleted;
  };
}

/** @throws {VstoreError} ERR, LIMIT */
async function keysOf(cache: Cache, selection: Selection, time: number): Promise<Uint8Array[]> {
  const { collection } = cache;
  if ("ids" in selection) return selection.ids.map((id) => keyOf(collection.name, id));
  const filter = filterOf(cache, selection);
  await collection.matching.prepare(filter);
  return collection.matching.keys(filter, cacheDeletedMax, time);
}

function releaseAll(
  release: Context["release"],
  name: string,
  keys: readonly Uint8Array[],
  values: readonly (string | undefined)[],
): void {
  if (release === undefined) return;
  for (const [at, value] of values.entries()) if (value !== undefined) release(name, keys[at]!, value);
}

/** @throws {VstoreError} ERR */
function filterOf({ options }: Cache, selection: Exclude<Selection, { ids: Uint8Array[] }>): string {
  if ("tag" in selection) return `${JSON.stringify(selection.tag)} in .tags`;
  assertFields(options.scope, selection.scope);
  if (options.scope.length === 0) throw new VstoreError("ERR", "the cache has no scope");
  return selection.scope
    .map(({ field, value }) => `.scope.${field} == ${JSON.stringify(value)}`)
    .join(" and ");
}

function digestOf(collection: Collection, key: Uint8Array, time: number): string | undefined {
  return readEntry(collection.getAttributes(key, time))?.facts.value;
}
