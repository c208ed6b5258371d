/**
 * VSTORE.BUILD: puts vectors that are not in the index yet into it now. Searches see every vector anyway; a built index
 * makes them faster.
 */

import { define } from "../command.ts";
import { collection, flag, options, sequence } from "../grammar/arguments.ts";
import { Status } from "../wire/reply.ts";

export const build = define({
  name: "BUILD",
  summary: "Puts every vector that is not in the index yet into it.",
  complexity: "O(K log N), K being the vectors not in the index yet and N those of the collection",
  route: "queries",
  aboutSidecar: true,
  long: true,
  args: sequence({ collection, options: options({ wait: flag("WAIT", "answers when it is done") }) }),
  reply: "OK and what is being indexed; with WAIT, when it is done, what was indexed",
  replyType: "string",
  async run({ catalog, onUnexpectedError }, input) {
    const target = catalog.get(input.collection);
    const waiting = target.tailLength;
    const building = target.build();
    if (input.options.wait) {
      await building;
      return new Status(`OK ${waiting} slots added to the index`);
    }
    building.catch((error: unknown) => onUnexpectedError?.(error, "BUILD"));
    return new Status(`OK indexing ${waiting} slots in the background`);
  },
});
