/** VSTORE.EXPIREAT: until when a key lives. A time that is past deletes it, as in Redis. */
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { expiryArguments, expiryReply, setDeadline } from "../grammar/deadline.ts";

export const expireat = define({
  name: "EXPIREAT",
  summary: "Sets the time, in seconds since 1970, at which a key expires; deletes it when that is past.",
  complexity: "O(log N), N being the number of keys with an expiry",
  route: "log",
  args: expiryArguments("unix-time-seconds", 0, limits.ttlSecondsMax),
  reply: expiryReply,
  replyType: "number",
  run: (context, input) => setDeadline(context, input, input.when * 1_000),
});
