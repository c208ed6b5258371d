/** VSTORE.LIST: which collections there are. */

import { define } from "../command.ts";
import { sequence } from "../grammar/arguments.ts";

export const list = define({
  name: "LIST",
  summary: "Returns the names of the collections, sorted.",
  complexity: "O(C log C), C being the number of collections",
  route: "control",
  writes: false,
  args: sequence({}),
  reply: "array of names",
  replyType: "string[]",
  run({ catalog }) {
    return catalog.names();
  },
});
