/** VSTORE.EXPIRE: how long a key lives from now on. A time that is over already deletes it, as in Redis. */
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { deadlineAfter, expiryArguments, expiryReply, setDeadline } from "../grammar/deadline.ts";

export const expire = define({
  name: "EXPIRE",
  summary: "Sets the time to live of a key, in seconds; deletes the key when that is not positive.",
  complexity: "O(log N), N being the number of keys with an expiry",
  route: "log",
  args: expiryArguments("seconds", -limits.ttlSecondsMax, limits.ttlSecondsMax),
  reply: expiryReply,
  replyType: "number",
  run: (context, input) => setDeadline(context, input, deadlineAfter(context.time, input.when * 1_000)),
});
