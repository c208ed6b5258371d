/** VSTORE.SETATTR: the JSON that belongs to a key. */

import { define } from "../command.ts";
import { attributes, collection, key, sequence } from "../grammar/arguments.ts";

export const setattr = define({
  name: "SETATTR",
  summary: "Sets the JSON attributes of a key; an empty string removes them.",
  complexity: "O(1)",
  route: "log",
  args: sequence({ collection, key, attributes }),
  reply: "1, or 0 when there is no such key",
  replyType: "number",
  run({ catalog, time }, { collection: name, key, attributes }) {
    return Number(catalog.get(name).setAttributes(key, attributes, time));
  },
});
