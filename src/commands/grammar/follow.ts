/**
 * `FOLLOW PREFIX p [FROM HASH FIELD f [ATTRS a …]]` of VSTORE.CREATE: which Redis keys the vectors live and die with,
 * and whether they also come from there. The bridge and the module do the following.
 */
import type { Follow } from "../../engine/options.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { afterToken, flag, many, optionally, sequence, value } from "./arguments.ts";
import { followPrefix, hashField } from "./values.ts";

export const follow = afterToken(
  "FOLLOW",
  sequence({
    prefix: afterToken("PREFIX", value("prefix", "string", followPrefix)),
    from: optionally(
      afterToken(
        "FROM",
        sequence({
          hash: flag("HASH", "takes vectors from the hashes under these keys"),
          field: afterToken("FIELD", value("field", "string", hashField)),
          attributes: optionally(
            afterToken("ATTRS", many(value("attribute", "string", hashField), limits.followAttributesMax)),
          ),
        }),
      ),
    ),
  }),
);

/** @param what needs it, for the message @throws {VstoreError} ERR */
export function assertFollowable(database: number | undefined, what: string): void {
  if (database === undefined || database === 0) return;
  const message = `${what} needs a sidecar in database 0, whose keys are followed; it is in database ${database}`;
  throw new VstoreError("ERR", message);
}

type FollowInput = ReturnType<(typeof follow)["parse"]>;

export function toFollow({ prefix, from }: FollowInput): Follow {
  if (from === undefined) return { prefix };
  return { prefix, hash: { field: from.field, attributes: from.attributes ?? [] } };
}
