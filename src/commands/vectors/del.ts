/**
 * VSTORE.DEL: deletes keys with their vectors and attributes: the named ones, or those that match a filter. FILTER with
 * an argument after it is always a filter; a key of that name is deleted by itself.
 */
import type { Collection } from "../../engine/collection.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import {
  type Arguments,
  afterToken,
  collection,
  integerValue,
  key,
  many,
  options,
  sequence,
} from "../grammar/arguments.ts";
import { filter } from "../grammar/filter.ts";

type Named = { keys: Uint8Array[] };
type Matching = { filter: string; count: number };
type Selection = Named | Matching;

const keys = many(key, limits.keysMax);
const { deleteMatchingMax } = limits;
/** More keys are looked for in slices. */
const atOnceMax = 1_000;
const wanted = afterToken("COUNT", integerValue("count", 1, deleteMatchingMax), deleteMatchingMax);
const count = options({ count: wanted }, [filter.tokens]);

const selection: Arguments<Selection> = {
  nodes: [
    {
      name: "selection",
      type: "oneof",
      arguments: [
        keys.nodes[0]!,
        { name: "matching", type: "block", arguments: [filter.nodes[0]!, count.nodes[0]!] },
      ],
    },
  ],
  parse(cursor) {
    if (cursor.left < 2 || !cursor.isAt("FILTER")) return { keys: keys.parse(cursor) };
    return { filter: filter.parse(cursor), count: count.parse(cursor).count ?? deleteMatchingMax };
  },
};

export const del = define({
  name: "DEL",
  summary: "Deletes keys and their vectors: the named ones, or the first that match a filter.",
  complexity: "O(K), K being the number of keys; O(N) for a FILTER that was not used lately",
  route: "log",
  caches: "also",
  args: sequence({ collection, selection }),
  reply:
    "the number of keys that existed; with FILTER the number of keys deleted, the oldest vectors first: where that is COUNT, " +
    "there may be more",
  replyType: "number",
  stage({ catalog, time }, { collection: name, selection }) {
    const target = catalog.get(name);
    if ("filter" in selection) return deleteMatching(target, selection, time);
    return selection.keys.length > atOnceMax ? target.deleteMany(selection.keys, time) : undefined;
  },
  /** Of few keys. */
  run({ catalog, time }, { collection: name, selection }) {
    return catalog.get(name).delete((selection as Named).keys, time);
  },
});

/** No other write of the collection comes in between, so a replay deletes the same. */
async function deleteMatching(
  target: Collection,
  { filter, count }: Matching,
  time: number,
): Promise<() => number> {
  await target.matching.prepare(filter);
  return target.deleteMany(target.matching.keys(filter, count, time), time);
}
