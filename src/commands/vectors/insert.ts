/** VSTORE.INSERT: one vector under one key. */

import { define } from "../command.ts";
import { afterToken, attributes, collection, key, options, sequence, word } from "../grammar/arguments.ts";
import { lifetimeOf, ttl } from "../grammar/deadline.ts";
import { toVector, vector } from "../grammar/vector.ts";

export const insert = define({
  name: "INSERT",
  summary:
    "Inserts a vector under a key, or replaces the key's vector, and its expiry unless KEEPTTL is given.",
  complexity: "O(log N) to index it, N being the vectors of the collection",
  route: "log",
  args: sequence({
    collection,
    key,
    vector,
    options: options({
      attributes: afterToken("SETATTR", attributes),
      mode: word("condition", ["NX", "XX"], "only a new key, only one that exists"),
      ttl,
    }),
  }),
  reply: "1 for a new key, 0 for an updated one; nil when NX finds the key or XX does not",
  replyType: "number | null",
  reserve({ catalog }, input) {
    return catalog.get(input.collection).reserve(1);
  },
  run({ catalog, time }, { collection: name, key, vector, options: { attributes, mode, ttl } }) {
    const target = catalog.get(name);
    const components = toVector(vector, target.options.dimensions);
    const { deadline, keepsDeadline } = lifetimeOf(ttl, time);
    const inserted = target.insert(key, components, { attributes, mode, deadline, keepsDeadline }, time);
    return inserted === null ? null : Number(inserted);
  },
});
