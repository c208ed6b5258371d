/**
 * FOLLOWED, an entry that the module appends to the log of a collection that follows hashes: what one of them holds now.
 * A hash that is no good loses its vector, as the old one is not its vector any more; the reason is the entry's error.
 */
import type { Collection } from "../../engine/collection.ts";
import { VstoreError } from "../../errors.ts";
import { define } from "../command.ts";
import { collection, key, many, optional, sequence, value, vectorBlob } from "../grammar/arguments.ts";
import { echo } from "../grammar/bytes.ts";
import { timeOf } from "../grammar/deadline.ts";
import { blob } from "../grammar/values.ts";
import { toBlob, toVector } from "../grammar/vector.ts";

type Attributes = readonly Uint8Array[];

export const followed = define({
  name: "FOLLOWED",
  summary: "Takes over the vector and the attributes of a hash.",
  complexity: "O(log N) to index it, N being the vectors of the collection",
  route: "log",
  internal: true,
  args: sequence({
    collection,
    key,
    blob: vectorBlob,
    attributes: optional(many(value("attribute", "string", blob("names and values in turn")))),
  }),
  reply: "1",
  replyType: "number",
  reserve({ catalog, id }, input) {
    const target = catalog.get(input.collection);
    return hasVector(target, input.key, input.blob, timeOf(id)) ? undefined : target.reserve(1);
  },
  run({ catalog, id }, input) {
    const target = catalog.get(input.collection);
    const time = timeOf(id);
    try {
      takeOver(target, input.key, input.blob, input.attributes ?? [], time);
    } catch (error) {
      throw refused(target, input.key, error, time);
    }
    return 1;
  },
});

/** What is equal is not written again: a counter beside the vector must not fill the index with dead slots. */
function takeOver(
  target: Collection,
  key: Uint8Array,
  fp32: Uint8Array,
  pairs: Attributes,
  time: number,
): void {
  const attributes = target.options.follow?.hash?.attributes.length ? toJson(pairs) : undefined;
  if (!hasVector(target, key, fp32, time)) {
    target.insert(key, toVector({ fp32 }, target.options.dimensions), { attributes }, time);
  } else if (attributes !== undefined && attributes !== (target.getAttributes(key, time) ?? "")) {
    target.setAttributes(key, attributes, time);
  }
}

function hasVector(target: Collection, key: Uint8Array, fp32: Uint8Array, time: number): boolean {
  const current = target.get(key, time);
  return current !== undefined && Buffer.compare(toBlob(current), fp32) === 0;
}

/** A hash's values are text, whatever they look like. */
function toJson(pairs: Attributes): string {
  const texts = pairs.map((bytes) => Buffer.from(bytes).toString());
  const members = texts.flatMap((name, at) => (at % 2 === 0 ? [[name, texts[at + 1] ?? ""]] : []));
  return members.length === 0 ? "" : JSON.stringify(Object.fromEntries(members));
}

function refused(target: Collection, key: Uint8Array, error: unknown, time: number): unknown {
  if (!(error instanceof VstoreError) || error.code !== "ERR") return error;
  target.delete([key], time);
  return new VstoreError("ERR", `the hash ${echo(key)} has no usable vector: ${error.message}`);
}
