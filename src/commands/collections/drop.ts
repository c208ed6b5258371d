/** VSTORE.DROP: a collection and its files are gone. */

import { define } from "../command.ts";
import { collection, sequence } from "../grammar/arguments.ts";
import { OK } from "../wire/reply.ts";

export const drop = define({
  name: "DROP",
  summary: "Deletes a collection and its files, and the values of a cache.",
  complexity: "O(1), and O(N) in the background to delete files and values",
  route: "control",
  writes: true,
  args: sequence({ collection }),
  reply: "OK",
  replyType: '"OK"',
  async run({ catalog, id }, input) {
    await catalog.drop(input.collection, id);
    return OK;
  },
});
