/** VSTORE.CARD: how many vectors there are, or match a filter. */

import { define } from "../command.ts";
import { collection, optionally, sequence } from "../grammar/arguments.ts";
import { filter } from "../grammar/filter.ts";

export const card = define({
  name: "CARD",
  summary: "Returns the number of vectors of a collection, or of those that match a filter.",
  complexity: "O(1); O(N) for a FILTER that was not used lately",
  route: "queries",
  args: sequence({ collection, filter: optionally(filter) }),
  reply: "the number of vectors",
  replyType: "number",
  async run({ catalog }, input) {
    const target = catalog.get(input.collection);
    if (input.filter !== undefined) return (await target.matching.slots(input.filter)).count;
    await target.lifetimes.hideExpired();
    return target.length;
  },
});
