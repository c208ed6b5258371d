/**
 * RENEWED: the module appends it to the log of a cache after it has prolonged the life of a value, so that its vector
 * lives as long. From another sender it changes how long the vector lives, and never the value.
 */
import { define } from "../command.ts";
import { collection, integerValue, key, sequence } from "../grammar/arguments.ts";

export const renewed = define({
  name: "RENEWED",
  summary: "Prolongs the life of an entry of a cache.",
  complexity: "O(log N), N being the entries with an expiry",
  route: "log",
  caches: "also",
  internal: true,
  args: sequence({ collection, key, deadline: integerValue("deadline", 1, Number.MAX_SAFE_INTEGER) }),
  reply: "1, or 0 where there is no such entry",
  replyType: "number",
  run({ catalog, time }, { collection: name, key, deadline }) {
    return Number(catalog.get(name).lifetimes.expire(key, deadline, "GT", time));
  },
});
