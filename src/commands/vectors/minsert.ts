/** VSTORE.MINSERT: many vectors in one request, all of them or none. Of a repeated key the last one counts. */
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import {
  afterToken,
  attributes,
  collection,
  counted,
  key,
  many,
  options,
  sequence,
  vectorBlob,
} from "../grammar/arguments.ts";
import { toVectors } from "../grammar/vector.ts";

export const minsert = define({
  name: "MINSERT",
  summary: "Inserts or replaces several vectors, all of them or none.",
  complexity: "O(K log N), K being the number of keys and N the vectors of the collection",
  route: "log",
  args: sequence({
    collection,
    keys: counted("count", key, limits.slotsMax),
    blob: afterToken("FP32", vectorBlob),
    options: options({ attributes: afterToken("SETATTR", many(attributes)) }),
  }),
  reply: "the number of new keys",
  replyType: "number",
  reserve({ catalog }, input) {
    return catalog.get(input.collection).reserve(input.keys.length);
  },
  run({ catalog, time }, { collection: name, keys, blob, options: { attributes: texts } }) {
    const target = catalog.get(name);
    if (texts && texts.length !== keys.length) {
      throw new VstoreError("ERR", `'SETATTR' must be ${keys.length} JSON texts, got ${texts.length}`);
    }
    const vectors = toVectors(blob, keys.length, target.options.dimensions);
    return target.insertBatch(keys, vectors, texts, time);
  },
});
