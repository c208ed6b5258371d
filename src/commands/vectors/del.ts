/** VSTORE.DEL: keys, their vectors and their attributes. */
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { collection, key, many, sequence } from "../grammar/arguments.ts";

export const del = define({
  name: "DEL",
  summary: "Deletes keys and their vectors.",
  complexity: "O(K), K being the number of keys",
  route: "log",
  args: sequence({ collection, keys: many(key, limits.keysMax) }),
  reply: "the number of keys that existed",
  replyType: "number",
  run({ catalog, time }, input) {
    return catalog.get(input.collection).delete(input.keys, time);
  },
});
