/** VSTORE.TTL: the rest of a key's life, rounded to seconds as Redis does. */

import { define } from "../command.ts";
import { collection, key, sequence } from "../grammar/arguments.ts";
import { timeLeft } from "../grammar/deadline.ts";

export const ttl = define({
  name: "TTL",
  summary: "Returns the time to live of a key, in seconds.",
  complexity: "O(1)",
  route: "queries",
  args: sequence({ collection, key }),
  reply: "seconds; -1 when the key has no expiry, -2 when there is no such key",
  replyType: "number",
  run: (context, input) => timeLeft(context, input, 1_000),
});
