/** VSTORE.EXPIRE: how long a key lives from now on. A time that is over already deletes it, as in Redis. */
import { deadlineConditions } from "../../engine/generation/lifetimes.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { collection, integerValue, key, options, sequence, word } from "../grammar/arguments.ts";
import { deadlineAfter } from "../grammar/deadline.ts";

const meaning =
  "only a key without expiry, only one with; only a later expiry, only an earlier one (none is the latest)";

export const expire = define({
  name: "EXPIRE",
  summary: "Sets the time that a key has to live; deletes it when that is not positive.",
  complexity: "O(log N), N being the number of keys with an expiry",
  route: "log",
  args: sequence({
    collection,
    key,
    seconds: integerValue("seconds", -limits.ttlSecondsMax, limits.ttlSecondsMax),
    options: options({ condition: word("condition", deadlineConditions, meaning) }),
  }),
  reply: "1, or 0 when there is no such key or the condition does not hold",
  replyType: "number",
  run({ catalog, time }, { collection: name, key, seconds, options: { condition } }) {
    const deadline = deadlineAfter(time, seconds * 1_000);
    return Number(catalog.get(name).lifetimes.expire(key, deadline, condition, time));
  },
});
