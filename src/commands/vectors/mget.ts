/** VSTORE.MGET: the vectors of several keys. */

import { define } from "../command.ts";
import { collection, key, many, sequence } from "../grammar/arguments.ts";

export const mget = define({
  name: "MGET",
  summary: "Returns the vectors of several keys.",
  complexity: "O(K D), K being the number of keys and D the dimensions",
  route: "queries",
  args: sequence({ collection, keys: many(key) }),
  reply: "array with, for each key, an array of doubles, or nil when there is no such key",
  replyType: "(number[] | null)[]",
  run({ catalog }, input) {
    const target = catalog.get(input.collection);
    return input.keys.map((wanted) => target.get(wanted) ?? null);
  },
});
