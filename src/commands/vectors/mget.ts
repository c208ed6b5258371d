/**
 * VSTORE.MGET: the vectors of several keys. `RAW` stands before the keys, with their number: after them, or alone, it
 * could be one of them. A first key named RAW is a key, unless the number of all others follows it.
 */
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import {
  type Arguments,
  afterToken,
  collection,
  integerValue,
  key,
  many,
  sequence,
} from "../grammar/arguments.ts";
import { readInteger } from "../grammar/numbers.ts";
import { toBlob } from "../grammar/vector.ts";
import { roomFor, vectorsBytes } from "../wire/answer-size.ts";

const token = "RAW";
const raw = afterToken(token, integerValue("count", 1, limits.keysMax));

const rawCount: Arguments<boolean> = {
  nodes: raw.nodes.map((node) => ({ ...node, optional: true })),
  parse(cursor) {
    const count = cursor.isAt(token) ? cursor.peek(1) : undefined;
    if (count === undefined || readInteger(count) !== cursor.left - 2) return false;
    raw.parse(cursor);
    return true;
  },
};

export const mget = define({
  name: "MGET",
  summary: "Returns the vectors of several keys.",
  complexity: "O(K D), K being the number of keys and D the dimensions",
  route: "queries",
  args: sequence({ collection, raw: rawCount, keys: many(key, limits.keysMax) }),
  reply:
    "array with, for each key, an array of doubles, or with RAW the little-endian float32 bytes; nil when there is no such key",
  replyType: "(number[] | Text | null)[]",
  async run(context, input) {
    const target = context.catalog.get(input.collection);
    await roomFor(context, vectorsBytes(input.keys.length, target.options.dimensions, input.raw));
    return target.getMany(input.keys, (row) => (input.raw && row ? toBlob(row) : (row ?? null)));
  },
});
