/** VSTORE.PERSIST: a key lives until it is deleted. */

import { define } from "../command.ts";
import { collection, key, sequence } from "../grammar/arguments.ts";

export const persist = define({
  name: "PERSIST",
  summary: "Removes the expiry of a key.",
  complexity: "O(log N), N being the number of keys with an expiry",
  route: "log",
  args: sequence({ collection, key }),
  reply: "1, or 0 when the key has no expiry or does not exist",
  replyType: "number",
  run({ catalog, time }, input) {
    return Number(catalog.get(input.collection).lifetimes.persist(input.key, time));
  },
});
