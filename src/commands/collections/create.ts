/** VSTORE.CREATE: a new collection. Its dimension and metric never change. */
import { quantizations, resolveOptions } from "../../engine/options.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { afterToken, collection, flag, integerValue, options, sequence, word } from "../grammar/arguments.ts";
import { assertFollowable, follow, toFollow } from "../grammar/follow.ts";
import { dimensions, metric } from "../grammar/shape.ts";
import { OK } from "../wire/reply.ts";

export const create = define({
  name: "CREATE",
  summary: "Creates a collection of vectors of one dimension and metric.",
  complexity: "O(1)",
  route: "control",
  writes: true,
  args: sequence({
    collection,
    dimensions,
    options: options({
      metric,
      M: afterToken("M", integerValue("m", limits.mMin, limits.mMax), limits.mDefault),
      efConstruction: afterToken(
        "EF_CONSTRUCTION",
        integerValue("ef-construction", limits.efConstructionMin, limits.efConstructionMax),
        limits.efConstructionDefault,
      ),
      ef: afterToken("EF", integerValue("ef", limits.efMin, limits.efMax), limits.efDefault),
      quantization: afterToken(
        "QUANT",
        word("quantization", quantizations, "how the index keeps vectors; distances are exact with each"),
        quantizations[0],
      ),
      nx: flag("NX", "answers nil instead of an error when the collection exists"),
      follow,
    }),
  }),
  reply: "OK; nil when the collection exists and NX is given",
  replyType: '"OK" | null',
  async run({ catalog, id, database }, { collection: name, dimensions, options: { nx, follow, ...given } }) {
    if (follow) assertFollowable(database, "'FOLLOW'");
    // A damaged collection is refused, not taken for a usable one; a replay finds what this very entry created.
    if (nx && catalog.has(name) && catalog.get(name).createdId !== id) return null;
    await catalog.create(
      name,
      resolveOptions({ dimensions, ...given, ...(follow && { follow: toFollow(follow) }) }),
      id,
    );
    return OK;
  },
});
