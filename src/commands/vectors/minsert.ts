/**
 * VSTORE.MINSERT: many vectors in one request, all of them or none. Of a repeated key the last one counts. A large
 * request is checked and written a slice at a time, then takes effect in one tick.
 */
import type { Collection } from "../../engine/collection.ts";
import type { Rows } from "../../engine/generation/large-batch.ts";
import { TimeSlice } from "../../engine/time-slice.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import {
  afterToken,
  checkAttributes,
  collection,
  counted,
  key,
  many,
  options,
  sequence,
  uncheckedAttributes,
  vectorBlob,
} from "../grammar/arguments.ts";
import { lifetimeOf, ttl } from "../grammar/deadline.ts";
import { toVectors, vectorReader } from "../grammar/vector.ts";

const smallKeys = 1_000;
const smallBytes = 2 * 1024 * 1024;

/** Whether so many keys are stored at once, in one turn of the event loop. @param textBytes of their attributes */
export const isSmallBatch = (keys: number, vectorBytes: number, textBytes: () => number): boolean =>
  keys <= smallKeys && vectorBytes <= smallBytes && vectorBytes + textBytes() <= smallBytes;

/** Of the argument, for messages. */
const label = "SETATTR";

export const minsert = define({
  name: "MINSERT",
  summary:
    "Inserts or replaces several vectors, all of them or none, and their expiry unless KEEPTTL is given.",
  complexity: "O(K log N), K being the number of keys and N the vectors of the collection",
  route: "log",
  args: sequence({
    collection,
    keys: counted("count", key, limits.keysMax),
    blob: afterToken("FP32", vectorBlob),
    options: options({ ttl, attributes: afterToken("SETATTR", many(uncheckedAttributes, limits.keysMax)) }),
  }),
  reply: "the number of new keys",
  replyType: "number",
  stage({ catalog, time }, { collection: name, keys, blob, options: { ttl, attributes: texts } }) {
    const target = catalog.get(name);
    assertCount(texts, keys.length);
    const textBytes = () => (texts ? sum(texts.map((text) => text.length)) : target.keptBytes(keys));
    if (isSmallBatch(keys.length, blob.length, textBytes)) return undefined;
    const vectorOf = vectorReader(blob, keys.length, target.options.dimensions);
    return stage(target, { keys, vectorOf, attributes: texts, time, lifetime: lifetimeOf(ttl, time) });
  },
  reserve({ catalog }, input) {
    return catalog.get(input.collection).reserve(input.keys.length);
  },
  run({ catalog, time }, { collection: name, keys, blob, options: { ttl, attributes: texts } }) {
    const target = catalog.get(name);
    const vectors = toVectors(blob, keys.length, target.options.dimensions);
    const checked = texts?.map((text) => checkAttributes(text, label));
    return target.insertBatch(keys, vectors, checked, time, lifetimeOf(ttl, time));
  },
});

async function stage(target: Collection, rows: Rows): Promise<() => number> {
  const slice = new TimeSlice();
  for (const text of rows.attributes ?? []) {
    checkAttributes(text, label);
    if (slice.spent) await slice.pause();
  }
  return target.insertLargeBatch(rows);
}

function assertCount(texts: readonly Uint8Array[] | undefined, keys: number): void {
  if (texts === undefined || texts.length === keys) return;
  throw new VstoreError("ERR", `'SETATTR' must be ${keys} JSON texts, got ${texts.length}`);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
