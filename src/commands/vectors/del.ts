/** VSTORE.DEL: keys, their vectors and their attributes. */

import { define } from "../command.ts";
import { collection, key, many, sequence } from "../grammar/arguments.ts";

export const del = define({
  name: "DEL",
  summary: "Deletes keys and their vectors.",
  complexity: "O(K), K being the number of keys",
  route: "log",
  args: sequence({ collection, keys: many(key) }),
  reply: "the number of keys that existed",
  replyType: "number",
  run({ catalog, time }, input) {
    return catalog.get(input.collection).delete(input.keys, time);
  },
});
