/**
 * VSTORE.DEL: deletes keys with their vectors and attributes: the named ones, or those that match a filter. FILTER with
 * an argument after it is always a filter; a key of that name is deleted by itself.
 */
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

type Selection = { keys: Uint8Array[] } | { filter: string; count: number };

const keys = many(key, limits.keysMax);
const { deleteMatchingMax } = limits;
/** More keys are looked for in slices. */
const atOnceMax = 1_000;
const wanted = afterToken("COUNT", integerValue("count", 1, deleteMatchingMax), deleteMatchingMax);
const count = options({ count: wanted });

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
    const isLarge = "keys" in selection && selection.keys.length > atOnceMax;
    return isLarge ? catalog.get(name).deleteMany(selection.keys, time) : undefined;
  },
  reserve({ catalog }, { collection: name, selection }) {
    return "filter" in selection ? catalog.get(name).matching.prepare(selection.filter) : undefined;
  },
  run({ catalog, time }, { collection: name, selection }) {
    const target = catalog.get(name);
    if ("keys" in selection) return target.delete(selection.keys, time);
    return target.matching.delete(selection.filter, selection.count, time);
  },
});
