/** VSTORE.GET: the vector of one key. */

import { define } from "../command.ts";
import { collection, flag, key, options, sequence } from "../grammar/arguments.ts";
import { toBlob } from "../grammar/vector.ts";

export const get = define({
  name: "GET",
  summary: "Returns the vector of a key.",
  complexity: "O(D), D being the dimensions",
  route: "queries",
  args: sequence({
    collection,
    key,
    options: options({ raw: flag("RAW", "the vector as the bytes that FP32 takes") }),
  }),
  reply: "array of doubles, or with RAW the little-endian float32 bytes; nil when there is no such key",
  replyType: "number[] | Text | null",
  run({ catalog }, input) {
    const vector = catalog.get(input.collection).get(input.key);
    if (vector === undefined) return null;
    return input.options.raw ? toBlob(vector) : vector;
  },
});
