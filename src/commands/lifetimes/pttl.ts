/** VSTORE.PTTL: TTL in milliseconds. */

import { define } from "../command.ts";
import { collection, key, sequence } from "../grammar/arguments.ts";
import { timeLeft } from "../grammar/deadline.ts";

export const pttl = define({
  name: "PTTL",
  summary: "Returns the time to live of a key, in milliseconds.",
  complexity: "O(1)",
  route: "queries",
  args: sequence({ collection, key }),
  reply: "milliseconds; -1 when the key has no expiry, -2 when there is no such key",
  replyType: "number",
  run: (context, input) => timeLeft(context, input, 1),
});
