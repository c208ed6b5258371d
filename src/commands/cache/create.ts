/**
 * VSTORE.CACHE.CREATE: a collection whose vectors follow Redis strings, the values of a cache, under its own prefix. So
 * a value that expires, is evicted or deleted takes its vector along.
 */
import { type CacheOptions, resolveOptions } from "../../engine/options.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import {
  afterToken,
  collection,
  counted,
  integerValue,
  options,
  sequence,
  undocumented,
  value,
  word,
} from "../grammar/arguments.ts";
import { assertFollowable } from "../grammar/follow.ts";
import { dimensions, metric } from "../grammar/shape.ts";
import { scopeField, share } from "../grammar/values.ts";
import { OK } from "../wire/reply.ts";
import { distance, seconds } from "./arguments.ts";
import { valuePrefix } from "./cache.ts";

/** Of COSINE, near enough for a paraphrase with most models; too far for some pairs of questions, so measure. */
const withinDefault = 0.1;

export const cacheCreate = define({
  name: "CACHE.CREATE",
  summary: "Creates a semantic cache.",
  complexity: "O(1)",
  route: "control",
  writes: true,
  args: sequence({
    collection,
    dimensions,
    options: options({
      metric,
      scope: afterToken(
        "SCOPE",
        counted("fields", value("field", "string", scopeField), limits.cacheScopeFieldsMax),
      ),
      within: distance("WITHIN"),
      errorRate: afterToken("ERRORRATE", value("share", "double", share), 0),
      maxBytes: afterToken(
        "MAXBYTES",
        integerValue("bytes", limits.cacheBytesMin, limits.cacheBytesMax),
        "no limit",
      ),
      shards: undocumented(afterToken("SHARDS", integerValue("shards", limits.shardsMin, limits.shardsMax))),
      seconds,
      ttl: afterToken(
        "TTL",
        word("ttl", ["FIXED", "SLIDING"], "a hit leaves it as it is, a hit renews it"),
        "FIXED",
      ),
    }),
  }),
  reply: "OK",
  replyType: '"OK"',
  async run({ catalog, id, database }, { collection: name, dimensions, options: given }) {
    assertFollowable(database, "a cache");
    if (given.shards !== undefined)
      throw new VstoreError(
        "ERR",
        "'SHARDS' cannot be used for a cache: its values would be on other nodes than their vectors; make one cache for each " +
          "hash tag",
      );
    const prefix = valuePrefix(name);
    if (prefix.startsWith("vstore:"))
      throw new VstoreError("ERR", "'collection' must not begin with vstore: where it is a cache");
    const { metric = "COSINE", within, errorRate, maxBytes, seconds, ttl, scope = [] } = given;
    if (within === undefined && metric !== "COSINE")
      throw new VstoreError(
        "ERR",
        `'WITHIN' must be given with METRIC ${metric}, which has no usual distance`,
      );
    assertDifferent(scope);
    const cache: CacheOptions = {
      scope,
      within: within ?? withinDefault,
      ...(errorRate !== undefined && { errorRate }),
      ...(maxBytes !== undefined && { maxBytes }),
      ...(ttl === "SLIDING" && { isSliding: true }),
      ...(seconds !== undefined && { ttlMs: seconds * 1_000 }),
    };
    await catalog.create(name, resolveOptions({ dimensions, metric, follow: { prefix }, cache }), id);
    return OK;
  },
});

function assertDifferent(fields: readonly string[]): void {
  const twice = fields.find((field, at) => fields.indexOf(field) !== at);
  if (twice !== undefined) throw new VstoreError("ERR", `'SCOPE' gives '${twice}' twice`);
}
