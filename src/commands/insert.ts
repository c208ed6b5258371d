/** VSTORE.INSERT: one vector under one key. */
import { afterToken, attributes, collection, key, options, sequence, word } from "./arguments.ts";
import { define } from "./command.ts";
import { toVector, vector } from "./vector.ts";

export const insert = define({
  name: "INSERT",
  summary: "Inserts a vector under a key, or replaces the key's vector.",
  complexity: "O(log N) to index it, N being the vectors of the collection",
  route: "log",
  args: sequence({
    collection,
    key,
    vector,
    options: options(
      {
        attributes: afterToken("SETATTR", attributes),
        mode: word("condition", ["NX", "XX"], "only a new key, only one that exists"),
      },
      ["EX", "PX"],
    ),
  }),
  reply: "1 for a new key, 0 for an updated one; nil when NX finds the key or XX does not",
  replyType: "number | null",
  reserve({ catalog }, input) {
    return catalog.get(input.collection).reserve(1);
  },
  run({ catalog }, input) {
    const target = catalog.get(input.collection);
    const inserted = target.insert(
      input.key,
      toVector(input.vector, target.options.dimensions),
      input.options,
    );
    return inserted === null ? null : Number(inserted);
  },
});
