/** The options that SEARCH and MSEARCH share: how to search, which keys may be found, and what to return of each. */
import { limits } from "../../limits.ts";
import { afterToken, flag, integerValue, many, type TokenArgument, value } from "./arguments.ts";
import type { Cursor } from "./cursor.ts";
import { filter } from "./filter.ts";
import { blob, double, fieldName } from "./values.ts";

const fieldArgument = value("field", "string", fieldName);
const field = afterToken("DISTINCT", fieldArgument);
const per = afterToken("PER", integerValue("n", 1, limits.distinctCountMax), 1);

/** `DISTINCT field [PER n]` */
const distinct: TokenArgument<{ field: string; per?: number }> = {
  tokens: field.tokens,
  nodes: [
    {
      name: "distinct",
      type: "block",
      token: "DISTINCT",
      arguments: [fieldArgument.nodes[0]!, { ...per.nodes[0]!, optional: true }],
      expects: "at most so many keys for each value of a field of the attributes",
    },
  ],
  parse(cursor: Cursor) {
    const name = field.parse(cursor);
    return cursor.isAt("PER") ? { field: name, per: per.parse(cursor) } : { field: name };
  },
};

export const partial = flag(
  "PARTIAL",
  "of a collection with SHARDS: the results of the parts that answer, and which are missing",
);

export const searchOptions = {
  k: afterToken("COUNT", integerValue("count", limits.countMin, limits.countMax), limits.countDefault),
  offset: afterToken("OFFSET", integerValue("offset", 0, limits.countMax), 0),
  ef: afterToken("EF", integerValue("ef", limits.efMin, limits.efMax), "that of the collection"),
  exact: flag("EXACT", "compares with every vector instead of asking the index"),
  within: afterToken("WITHIN", value("distance", "double", double())),
  filter,
  distinct,
  withDistances: flag("WITHDISTANCES", "with the distance of each key"),
  withAttributes: flag("WITHATTRS", "with the attributes of each key"),
  withValues: flag("WITHVALUES", "with the value of the Redis key of that name, if it is a string or a hash"),
  fields: afterToken("FIELDS", many(value("field", "string", blob("of hashes, only these; comes last")))),
};
