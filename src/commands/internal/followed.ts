/**
 * FOLLOWED: the module appends it to the log of a collection that follows hashes, with what one of them holds now. A
 * hash with an unusable vector loses its vector, because the old one is no longer right. A hash with unusable
 * attributes keeps the vector and loses all attributes. The reason is the entry's error.
 */
import type { Collection } from "../../engine/collection.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { collection, key, many, optional, sequence, value, vectorBlob } from "../grammar/arguments.ts";
import { echo } from "../grammar/bytes.ts";
import { blob, decodeUtf8 } from "../grammar/values.ts";
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
  reserve({ catalog, time }, input) {
    const target = catalog.get(input.collection);
    return hasVector(target, input.key, input.blob, time) ? undefined : target.reserve(1);
  },
  run({ catalog, time }, input) {
    const target = catalog.get(input.collection);
    const attributes = read(input.attributes ?? []);
    try {
      takeOver(target, input.key, input.blob, attributes.json, time);
    } catch (error) {
      throw refused(target, input.key, error, time);
    }
    if (attributes.fault !== undefined)
      throw new VstoreError(
        "ERR",
        `the hash ${echo(input.key)} has no usable attributes: ${attributes.fault}`,
      );
    return 1;
  },
});

/** Writes nothing that is equal already: a counter beside the vector must not fill the index with dead slots. */
function takeOver(target: Collection, key: Uint8Array, fp32: Uint8Array, json: string, time: number): void {
  const attributes = target.options.follow?.hash?.attributes.length ? json : undefined;
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

/**
 * A hash's values are text, whatever they look like. No attributes at all where they cannot be kept as they are. Fields
 * and bytes are counted first: a stream client may append any number of them, and what is left is a small part of a
 * turn.
 */
function read(pairs: Attributes): { json: string; fault?: string } {
  const tooLarge = { json: "", fault: `they must be at most ${limits.attributesBytesMax} bytes of JSON` };
  const { followAttributesMax } = limits;
  if (pairs.length > 2 * followAttributesMax)
    return { json: "", fault: `they must be at most ${followAttributesMax} fields` };
  const bytes = pairs.reduce((sum, each) => sum + each.length, 0);
  if (bytes > limits.attributesBytesMax) return tooLarge;
  const texts = pairs.map(decodeUtf8);
  const odd = texts.indexOf(undefined);
  if (odd >= 0) return { json: "", fault: `${echo(pairs[odd - (odd % 2)]!)} must be valid UTF-8` };
  const members = texts.flatMap((name, at) => (at % 2 === 0 ? [[name, texts[at + 1] ?? ""]] : []));
  const json = members.length === 0 ? "" : JSON.stringify(Object.fromEntries(members));
  return Buffer.byteLength(json) > limits.attributesBytesMax ? tooLarge : { json };
}

function refused(target: Collection, key: Uint8Array, error: unknown, time: number): unknown {
  if (!(error instanceof VstoreError) || error.code !== "ERR") return error;
  target.delete([key], time);
  return new VstoreError("ERR", `the hash ${echo(key)} has no usable vector: ${error.message}`);
}
