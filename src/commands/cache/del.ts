/**
 * VSTORE.CACHE.DEL: ends entries by their ids, by a tag, or by their scope or a part of it. The vectors end here; the
 * bridge has the values deleted, each only while it is still the one of its entry.
 */
import type { Collection } from "../../engine/collection.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { afterToken, collection, many, oneOf, sequence, value } from "../grammar/arguments.ts";
import { idBytes } from "../grammar/values.ts";
import { scope, tag } from "./arguments.ts";
import { assertFields, type Cache, cacheOf, keyOf, type ScopePart } from "./cache.ts";
import { readEntry } from "./entry.ts";

type Selection = { ids: Uint8Array[] } | { tag: string } | { scope: ScopePart[] };

const { cacheDeletedMax } = limits;

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
  reserve({ catalog }, { collection: name, selection }) {
    const filter = filterOf(cacheOf(catalog, name), selection);
    return filter === undefined ? undefined : catalog.get(name).matching.prepare(filter);
  },
  run({ catalog, time, release }, { collection: name, selection }) {
    const cache = cacheOf(catalog, name);
    const filter = filterOf(cache, selection);
    const { collection } = cache;
    const keys =
      filter === undefined
        ? (selection as { ids: Uint8Array[] }).ids.map((id) => keyOf(name, id))
        : collection.matching.keys(filter, cacheDeletedMax, time);
    const values = keys.map((key) => digestOf(collection, key, time));
    const deleted = collection.delete(keys, time);
    keys.forEach((key, at) => {
      if (values[at] !== undefined) release?.(name, key, values[at]);
    });
    return deleted;
  },
});

/** Undefined where the entries are named. @throws {VstoreError} ERR */
function filterOf({ options }: Cache, selection: Selection): string | undefined {
  if ("ids" in selection) return undefined;
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
