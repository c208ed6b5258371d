/** VSTORE.CARD: how many vectors there are. */

import { define } from "../command.ts";
import { collection, sequence } from "../grammar/arguments.ts";

export const card = define({
  name: "CARD",
  summary: "Returns the number of vectors of a collection.",
  complexity: "O(1)",
  route: "queries",
  args: sequence({ collection }),
  reply: "the number of vectors",
  replyType: "number",
  async run({ catalog }, input) {
    const target = catalog.get(input.collection);
    await target.lifetimes.hideExpired();
    return target.length;
  },
});
