/**
 * VSTORE.CACHE.SET: an entry of a cache. The module has stored the value before the sidecar reads of it; see
 * redis/cache/cache_requests.h. A refused SET leaves a value without a vector, which no GET finds; the bridge has it
 * deleted.
 */
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { define } from "../command.ts";
import { afterToken, collection, integerValue, options, sequence, value } from "../grammar/arguments.ts";
import { latin1 } from "../grammar/bytes.ts";
import { idBytes } from "../grammar/values.ts";
import { toVector, vector } from "../grammar/vector.ts";
import { distance, prompt, scope, seconds, storedValue, tags } from "./arguments.ts";
import { cacheOf, idOf, wholeScope } from "./cache.ts";
import { type EntryFacts, entryAttributes } from "./entry.ts";
import { endingWithEntry } from "./module-words.ts";

/** Words of the module: the value's key, digest and length, when it expires, and the digest of the question. */
export const addedToSet = 5;

export const cacheSet = define({
  name: "CACHE.SET",
  summary: "Stores a value in a cache under a question's vector, both or neither.",
  complexity: "O(log N) to index it, N being the entries of the cache",
  route: "log",
  caches: "only",
  args: endingWithEntry(
    sequence({
      collection,
      vector,
      value: storedValue,
      options: options({
        prompt,
        id: afterToken(
          "ID",
          value("id", "string", idBytes),
          "made of the scope, and of the prompt or the vector",
        ),
        scope,
        tags,
        seconds,
        within: distance("WITHIN"),
        cost: afterToken("COST", integerValue("milliseconds", 0, limits.ttlMsMax)),
      }),
    }),
    addedToSet,
  ),
  reply: "the entry's id",
  replyType: "Text",
  reserve({ catalog }, input) {
    return catalog.get(input.collection).reserve(1);
  },
  run({ catalog, time }, { collection: name, vector, value, options: given, added }) {
    const { collection, options } = cacheOf(catalog, name);
    const [key, digest, bytes, deadline, question] = added as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    if (key.length === 0) throw notStored(value);
    const scope = wholeScope(options, given.scope);
    const expires = Number(latin1(deadline));
    const facts: EntryFacts = {
      value: latin1(digest),
      bytes: Number(latin1(bytes)),
      at: time,
      ...(options.isSliding && expires > time && { ttl: expires - time }),
      ...(question.length > 0 && { question: latin1(question) }),
      ...(given.within !== undefined && { within: given.within }),
      ...(given.cost !== undefined && { cost: given.cost }),
    };
    const components = toVector(vector, collection.options.dimensions);
    const attributes = entryAttributes(facts, scope, given.tags);
    collection.insert(key, components, { attributes, deadline: expires }, time);
    return Buffer.from(idOf(name, key));
  },
});

/** The module has left out of the entry what it has stored. */
function notStored(value: Uint8Array | undefined): VstoreError {
  if (value === undefined) return new VstoreError("ERR", "'VALUE' is missing");
  return new VstoreError("TRYAGAIN", "the module does not know the cache yet; nothing was stored");
}
