/** VSTORE.EXISTS. A key that is named twice counts twice, as in Redis' own EXISTS. */
import { TimeSlice } from "../../engine/time-slice.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { collection, key, many, sequence } from "../grammar/arguments.ts";

export const exists = define({
  name: "EXISTS",
  summary: "Counts how many of the keys exist.",
  complexity: "O(K), K being the number of keys",
  route: "queries",
  args: sequence({ collection, keys: many(key, limits.keysMax) }),
  reply: "the number of keys that exist",
  replyType: "number",
  async run({ catalog }, input) {
    const target = catalog.get(input.collection);
    const slice = new TimeSlice();
    let count = 0;
    for (const wanted of input.keys) {
      count += Number(target.has(wanted));
      if (slice.spent) await slice.pause();
    }
    return count;
  },
});
