/** VSTORE.CREATE: a new collection. Its dimension and metric never change. */
import { quantizations, resolveOptions } from "../../engine/options.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type Context, define } from "../command.ts";
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
      shards: afterToken("SHARDS", integerValue("shards", limits.shardsMin, limits.shardsMax)),
      follow,
    }),
  }),
  reply: "OK; nil when the collection exists and NX is given",
  replyType: '"OK" | null',
  async run(context, { collection: name, dimensions, options: { nx, follow, shards: count, ...given } }) {
    const { catalog, id, database } = context;
    if (follow) assertFollowable(database, "'FOLLOW'");
    // A damaged collection is refused, not taken for a usable one; a replay finds what this very entry created.
    if (nx && catalog.has(name) && catalog.get(name).createdId !== id) return null;
    const shards = count === undefined ? undefined : partsOf(context, name, follow !== undefined);
    await catalog.create(
      name,
      resolveOptions({
        dimensions,
        ...given,
        ...(follow && { follow: toFollow(follow) }),
        ...(shards && { shards }),
      }),
      id,
    );
    return OK;
  },
});

/** The bridge has made them before. @throws {VstoreError} ERR, COLLECTIONEXISTS */
function partsOf({ catalog, shards }: Context, name: string, follows: boolean): readonly string[] {
  if (follows)
    throw new VstoreError(
      "ERR",
      "'SHARDS' cannot be used with 'FOLLOW': keys and vectors would be on different nodes; send INSERT and DEL yourself, or " +
        "make one collection with FOLLOW for each hash tag",
    );
  if (shards !== undefined) return shards;
  if (catalog.has(name)) throw new VstoreError("COLLECTIONEXISTS", `collection '${name}' exists already`);
  throw new VstoreError("ERR", "'SHARDS' needs a node of a Redis Cluster");
}
