/** VSTORE.RANDMEMBER: random keys, like SRANDMEMBER, except that it refuses a negative count. */
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { collection, integerValue, optional, sequence } from "../grammar/arguments.ts";

export const randmember = define({
  name: "RANDMEMBER",
  summary: "Returns random keys of a collection.",
  complexity: "O(K), K being the number of keys; O(N) where K is about the number of vectors N",
  route: "queries",
  args: sequence({ collection, count: optional(integerValue("count", 0, limits.randomKeysMax)) }),
  reply: "a key, or nil when there is none; with count an array of at most so many different keys",
  replyType: "Text | null | Text[]",
  async run({ catalog }, { collection: name, count }) {
    const target = catalog.get(name);
    await target.lifetimes.hideExpired();
    const keys = await target.sampling.randomKeys(count ?? 1);
    return count === undefined ? (keys[0] ?? null) : keys;
  },
});
