/**
 * VSTORE.TOKEN: how far this sidecar is with a collection. Like every read it first sees all writes that were in the
 * log when it was sent. So the token covers every write that this Redis has acknowledged, with NOWAIT too, and all that
 * earlier reads here have seen.
 */
import { define } from "../command.ts";
import { collection, sequence } from "../grammar/arguments.ts";
import { tokenOf } from "../token.ts";

export const token = define({
  name: "TOKEN",
  summary: "Returns how far a collection is, for the ASOF of later reads.",
  complexity: "O(1)",
  route: "queries",
  aboutSidecar: true,
  args: sequence({ collection }),
  reply: "a text that means nothing to clients; a read with it after ASOF sees all that this one has seen",
  replyType: "string",
  run({ catalog, timelines }, { collection: name }) {
    return tokenOf(catalog.get(name), timelines);
  },
});
