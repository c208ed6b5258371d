/**
 * VSTORE.SEARCH: the nearest vectors to one that is given, or to that of a key. FIELDS names fields of hashes, which may have
 * any names, so it runs to the end of the request.
 */
import type { Collection } from "../../engine/collection.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type Context, define } from "../command.ts";
import {
  afterToken,
  collection,
  flag,
  integerValue,
  key,
  many,
  oneOf,
  options,
  sequence,
  value,
} from "../grammar/arguments.ts";
import { echo } from "../grammar/bytes.ts";
import { filter } from "../grammar/filter.ts";
import { blob, double } from "../grammar/values.ts";
import { toVector, type VectorInput, vectorForms } from "../grammar/vector.ts";
import { roomFor, textsBytes } from "../wire/answer-size.ts";
import { Double, type Reply, ValueOf, WithFields } from "../wire/reply.ts";

export const search = define({
  name: "SEARCH",
  summary: "Returns the nearest vectors, nearest first.",
  complexity:
    "O(log N) with the index, O(N) with EXACT and for a FILTER that was not asked for lately, N being the vectors of the " +
    "collection",
  route: "queries",
  args: sequence({
    collection,
    query: oneOf("query", { ...vectorForms, key: afterToken("KEY", key) }),
    options: options({
      k: afterToken("COUNT", integerValue("count", limits.countMin, limits.countMax), limits.countDefault),
      ef: afterToken("EF", integerValue("ef", limits.efMin, limits.efMax), "that of the collection"),
      exact: flag("EXACT", "compares with every vector instead of asking the index"),
      within: afterToken("WITHIN", value("distance", "double", double())),
      filter,
      withDistances: flag("WITHDISTANCES", "with the distance of each key"),
      withAttributes: flag("WITHATTRS", "with the attributes of each key"),
      withValues: flag(
        "WITHVALUES",
        "with what the Redis key of that name holds, if it is a string or a hash",
      ),
      fields: afterToken("FIELDS", many(value("field", "string", blob("of hashes, only these; comes last")))),
    }),
  }),
  reply:
    "array of keys; with details an array of pairs, nearest first: a key and its distance (WITHDISTANCES), its JSON or nil " +
    "(WITHATTRS), its string, map of fields, or nil (WITHVALUES), or an array of several of them in this order. RESP2 clients " +
    "get the pairs as one flat array",
  replyType: "Text[] | [key: Text, detail: number | Detail | (number | Detail)[]][]",
  pairsDepth: 1,
  async run(
    context,
    { collection: name, query, options: { withDistances, withAttributes, withValues, fields, ...wanted } },
  ) {
    const target = context.catalog.get(name);
    assertFields(fields, withValues);
    if (withValues) assertShowable(context);
    const room = (bytes: number) => roomFor(context, textsBytes(wanted.k ?? limits.countDefault, bytes));
    const hits = await target.search(toQuery(query, target), {
      k: limits.countDefault,
      ...wanted,
      attributes: withAttributes && room,
    });
    const keys = hits.map((hit) => hit.key);
    const details = [
      withDistances && hits.map((hit) => new Double(hit.distance)),
      withAttributes && hits.map((hit) => hit.attributes ?? null),
      withValues && keys.map((each) => new ValueOf(each)),
    ].filter((each) => each !== undefined);
    if (details.length === 0) return keys;
    const reply: Reply = keys.map((each, i) => [each, detailsOf(details, i)]);
    return fields === undefined ? reply : new WithFields(fields, reply);
  },
});

function assertFields(fields: readonly Uint8Array[] | undefined, withValues: true | undefined): void {
  if (fields === undefined) return;
  if (!withValues) throw new VstoreError("ERR", "'FIELDS' needs 'WITHVALUES'");
  const { fieldsMax } = limits;
  if (fields.length <= fieldsMax) return;
  throw new VstoreError("ERR", `'FIELDS' must be at most ${fieldsMax} fields, got ${fields.length}`);
}

/** A stream client has the rights to read keys itself, or has not. */
function assertShowable({ canShowValues }: Context): void {
  if (!canShowValues)
    throw new VstoreError("ERR", "'WITHVALUES' needs a client of Redis whose rights the module knows");
}

/** Of one hit, from the columns of all: the only one is not wrapped. */
function detailsOf(columns: readonly (readonly Reply[])[], hit: number): Reply {
  const row = columns.map((column) => column[hit]!);
  return row.length === 1 ? row[0]! : row;
}

function toQuery(query: VectorInput | { key: Uint8Array }, target: Collection): Float32Array {
  if (!("key" in query)) return toVector(query, target.options.dimensions);
  const vector = target.get(query.key);
  if (vector) return vector;
  throw new VstoreError("NOKEY", `'KEY' must be a key of the collection, got ${echo(query.key)}`);
}
