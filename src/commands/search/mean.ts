/**
 * `KEY a [KEY b …] [NOT KEY x …]`: the mean of the vectors of some keys, minus that of others. The keys themselves are
 * no results then, unless WITHSELF is given; a single KEY is a query like any other, and finds itself.
 */
import { meanDifference, type VectorSource } from "../../engine/mean.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { afterToken, key, type TokenArgument } from "../grammar/arguments.ts";
import { echo } from "../grammar/bytes.ts";
import type { Cursor } from "../grammar/cursor.ts";
import { toVector, type VectorInput } from "../grammar/vector.ts";

export interface Keys {
  readonly like: Uint8Array[];
  readonly unlike: Uint8Array[];
}

const like = afterToken("KEY", key);

export const likeKeys: TokenArgument<Keys> = {
  tokens: ["KEY"],
  nodes: [
    {
      name: "keys",
      type: "block",
      arguments: [
        { ...like.nodes[0]!, multiple: true, multipleToken: true },
        {
          name: "unlike",
          type: "block",
          token: "NOT",
          arguments: like.nodes,
          optional: true,
          multiple: true,
          multipleToken: true,
        },
      ],
    },
  ],
  parse(cursor: Cursor) {
    const keys: Keys = { like: [like.parse(cursor)], unlike: [] };
    while (cursor.isAt("KEY") || cursor.isAt("NOT")) {
      const isUnlike = cursor.skip("NOT");
      (isUnlike ? keys.unlike : keys.like).push(like.parse(cursor));
      assertCount(keys.like.length + keys.unlike.length);
    }
    return keys;
  },
};

/** The vector to look for, and the keys that are no results. */
export function toQuestion(
  query: VectorInput | { like: Keys },
  target: VectorSource,
  withSelf: true | undefined,
): { vector: Float32Array; without: Uint8Array[] } {
  if (!("like" in query)) return { vector: toVector(query, target.options.dimensions), without: [] };
  const { like, unlike } = query.like;
  const isSingle = like.length === 1 && unlike.length === 0;
  const vector = isSingle ? vectorOf(like[0]!, target) : meanDifference(target, like, unlike, noKey);
  return { vector, without: isSingle || withSelf ? [] : [...like, ...unlike] };
}

function assertCount(count: number): void {
  const { meanKeysMax } = limits;
  if (count > meanKeysMax)
    throw new VstoreError("ERR", `'KEY' must be at most ${meanKeysMax} keys, got more`);
}

function vectorOf(wanted: Uint8Array, target: VectorSource): Float32Array {
  const vector = target.get(wanted);
  if (vector === undefined) throw noKey(wanted);
  return vector;
}

const noKey = (wanted: Uint8Array) =>
  new VstoreError("NOKEY", `'KEY' must be a key of the collection, got ${echo(wanted)}`);
