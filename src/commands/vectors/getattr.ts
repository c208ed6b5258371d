/** VSTORE.GETATTR: the JSON as it was written. */

import { define } from "../command.ts";
import { collection, key, sequence } from "../grammar/arguments.ts";

export const getattr = define({
  name: "GETATTR",
  summary: "Returns the JSON attributes of a key.",
  complexity: "O(1)",
  route: "queries",
  args: sequence({ collection, key }),
  reply: "the JSON text; nil when the key has none or does not exist",
  replyType: "Text | null",
  run({ catalog }, input) {
    return catalog.get(input.collection).getAttributes(input.key) ?? null;
  },
});
