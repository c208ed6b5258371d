/** VSTORE.PEXPIRE: EXPIRE in milliseconds. */
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { deadlineAfter, expiryArguments, expiryReply, setDeadline } from "../grammar/deadline.ts";

export const pexpire = define({
  name: "PEXPIRE",
  summary: "Sets the time to live of a key, in milliseconds; deletes the key when that is not positive.",
  complexity: "O(log N), N being the number of keys with an expiry",
  route: "log",
  args: expiryArguments("milliseconds", -limits.ttlMsMax, limits.ttlMsMax),
  reply: expiryReply,
  replyType: "number",
  run: (context, input) => setDeadline(context, input, deadlineAfter(context.time, input.when)),
});
