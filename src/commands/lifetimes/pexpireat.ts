/** VSTORE.PEXPIREAT: EXPIREAT in milliseconds. */
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { expiryArguments, expiryReply, setDeadline } from "../grammar/deadline.ts";

export const pexpireat = define({
  name: "PEXPIREAT",
  summary: "Sets the time, in milliseconds since 1970, at which a key expires; deletes it when that is past.",
  complexity: "O(log N), N being the number of keys with an expiry",
  route: "log",
  args: expiryArguments("unix-time-milliseconds", 0, limits.ttlMsMax),
  reply: expiryReply,
  replyType: "number",
  run: (context, input) => setDeadline(context, input, input.when),
});
