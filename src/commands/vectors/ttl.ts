/** VSTORE.TTL: the rest of a key's life, rounded to seconds as Redis does. */

import { define } from "../command.ts";
import { collection, key, sequence } from "../grammar/arguments.ts";

const NO_KEY = -2;
const NO_EXPIRY = -1;

export const ttl = define({
  name: "TTL",
  summary: "Returns the time that a key has to live.",
  complexity: "O(1)",
  route: "queries",
  args: sequence({ collection, key }),
  reply: "seconds; -1 when the key has no expiry, -2 when there is no such key",
  replyType: "number",
  run({ catalog }, input) {
    const left = catalog.get(input.collection).lifetimes.left(input.key);
    if (left === undefined) return NO_KEY;
    return Number.isFinite(left) ? Math.round(left / 1_000) : NO_EXPIRY;
  },
});
