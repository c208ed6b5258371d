/** VSTORE.CHECKPOINT: everything applied so far is durable in the files, so that the log may be trimmed. */

import { define } from "../command.ts";
import { collection, optional, sequence } from "../grammar/arguments.ts";
import { Status } from "../wire/reply.ts";

export const checkpoint = define({
  name: "CHECKPOINT",
  summary: "Makes one collection, or all of them, durable in their files and trims their logs.",
  complexity: "O(N), N being the vectors written since the last checkpoint",
  route: "queries",
  aboutSidecar: true,
  long: true,
  args: sequence({ collection: optional(collection) }),
  reply: "OK and what is covered now",
  replyType: "string",
  async run({ catalog }, input) {
    if (input.collection !== undefined) {
      const { slots, id } = await catalog.get(input.collection).checkpoint();
      return new Status(`OK ${slots} slots, log covered up to ${id}`);
    }
    await catalog.checkpoint();
    return new Status(`OK ${catalog.names().length} collections`);
  },
});
