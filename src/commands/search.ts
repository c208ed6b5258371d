/** VSTORE.SEARCH: the nearest vectors to one that is given, or to that of a key. */
import type { Collection, Hit } from "../engine/collection.ts";
import { VstoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import {
  afterToken,
  collection,
  flag,
  integerValue,
  key,
  oneOf,
  options,
  sequence,
  value,
} from "./arguments.ts";
import { echo } from "./bytes.ts";
import { define } from "./command.ts";
import { Double, type Reply } from "./reply.ts";
import { double } from "./values.ts";
import { toVector, type VectorInput, vectorForms } from "./vector.ts";

export const search = define({
  name: "SEARCH",
  summary: "Returns the nearest vectors, nearest first.",
  complexity: "O(log N) with the index, O(N) with EXACT, N being the vectors of the collection",
  route: "queries",
  args: sequence({
    collection,
    query: oneOf("query", { ...vectorForms, key: afterToken("KEY", key) }),
    options: options(
      {
        k: afterToken("COUNT", integerValue("count", limits.countMin, limits.countMax), limits.countDefault),
        ef: afterToken("EF", integerValue("ef", limits.efMin, limits.efMax), "that of the collection"),
        exact: flag("EXACT", "compares with every vector instead of asking the index"),
        within: afterToken("WITHIN", value("distance", "double", double())),
        withDistances: flag("WITHDISTANCES", "with the distance of each key"),
        withAttributes: flag("WITHATTRS", "with the attributes of each key"),
      },
      ["FILTER", "WITHVALUES"],
    ),
  }),
  reply:
    "array of keys; WITHDISTANCES: map of key to distance; WITHATTRS: map of key to JSON or nil; " +
    "both: map of key to array of the two",
  replyType: "Text[] | Map<Text, number> | Map<Text, Text | null> | Map<Text, [number, Text | null]>",
  async run({ catalog }, { collection: name, query, options: { withDistances, ...wanted } }) {
    const target = catalog.get(name);
    const hits = await target.search(toQuery(query, target), { k: limits.countDefault, ...wanted });
    if (!withDistances && !wanted.withAttributes) return hits.map((hit) => hit.key);
    return new Map(hits.map((hit) => [hit.key, details(hit, withDistances, wanted.withAttributes)]));
  },
});

function toQuery(query: VectorInput | { key: Uint8Array }, target: Collection): Float32Array {
  if (!("key" in query)) return toVector(query, target.options.dimensions);
  const vector = target.get(query.key);
  if (vector) return vector;
  throw new VstoreError("NOKEY", `'KEY' must be a key of the collection, got ${echo(query.key)}`);
}

function details(hit: Hit, withDistances?: true, withAttributes?: true): Reply {
  const distance = new Double(hit.distance);
  if (!withAttributes) return distance;
  const attributes = hit.attributes ?? null;
  return withDistances ? [distance, attributes] : attributes;
}
