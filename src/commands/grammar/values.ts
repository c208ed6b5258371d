/**
 * Single arguments: zod schemas from the bytes that came to the value that a command works with. A
 * message is the second half of the sentence "'name' must be …"; the description is the same phrase for the
 * documentation. See arguments.ts for the other half.
 */
import { z } from "zod";
import {
  type CheckedAttributes,
  flatAttributes,
  NO_ATTRIBUTES,
  parsedAttributes,
  readObject,
} from "../../engine/input.ts";
import { ID_PATTERN } from "../../engine/log-id.ts";
import { limits } from "../../limits.ts";
import { latin1 } from "./bytes.ts";
import { readDouble, readInteger } from "./numbers.ts";

export type Value<T> = z.ZodType<T, Uint8Array>;

const bytes = z.custom<Uint8Array>();
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function integer(min: number, max: number): Value<number> {
  const phrase = `an integer from ${min} to ${max}`;
  const range = z.int(phrase).min(min, phrase).max(max, phrase);
  return bytes.transform(readInteger).pipe(range).describe(phrase);
}

export function double(): Value<number> {
  const phrase = "a finite number";
  return bytes.transform(readDouble).pipe(z.number(phrase)).describe(phrase);
}

const sharePhrase = "a number from 0 to less than 1";

export const share: Value<number> = bytes
  .transform(readDouble)
  .pipe(z.number(sharePhrase).min(0, sharePhrase).lt(1, sharePhrase))
  .describe(`of the reports about an entry that may be false, ${sharePhrase}`);

/** Bytes that mean nothing to the parser. */
export function blob(phrase: string): Value<Uint8Array> {
  return bytes.describe(phrase);
}

const patternPhrase = `a glob pattern of at most ${limits.patternBytesMax} bytes`;

export const globPattern: Value<Uint8Array> = z
  .custom<Uint8Array>((pattern) => (pattern as Uint8Array).length <= limits.patternBytesMax, patternPhrase)
  .describe(patternPhrase);

/** Text of ASCII characters, for values that a command interprets by itself. */
export function text(phrase: string): Value<string> {
  return bytes.transform(latin1).describe(phrase);
}

const keyPhrase = `${limits.keyBytesMin} to ${limits.keyBytesMax} bytes`;

/** Any bytes at all: only their number is limited. */
export const keyBytes: Value<Uint8Array> = z
  .custom<Uint8Array>(isKey, keyPhrase)
  .describe(`${keyPhrase}, any bytes`);

export function isKey(key: unknown): boolean {
  const { length } = key as Uint8Array;
  return length >= limits.keyBytesMin && length <= limits.keyBytesMax;
}

const namePhrase = `1 to ${limits.collectionNameBytesMax} characters of A-Z a-z 0-9 _ . : @ { } -`;
const nameText = new RegExp(`^[A-Za-z0-9_.:@{}-]{1,${limits.collectionNameBytesMax}}$`);
/**
 * Braces only as one hash tag, so that module, sidecar and cluster clients agree on the slot; and not around all of the
 * name, because the streams of {docs} would be those of docs.
 */
const hashTagText = /^(?!\{[^{}]*\}$)[^{}]*(\{[^{}]+\}[^{}]*)?$/;

const isNoDirectory = (name: string): boolean => name !== "." && name !== "..";

export const collectionName: Value<string> = bytes
  .transform(latin1)
  .refine((name) => nameText.test(name), { error: namePhrase, abort: true })
  .refine((name) => hashTagText.test(name), "a name with braces only as one hash tag like {user}:docs")
  .refine(isNoDirectory, "a name other than . and ..")
  .describe(namePhrase);

/** What `collectionName` makes of it, without the words of a refusal. */
export function readCollectionName(bytes: Uint8Array): string | undefined {
  const name = latin1(bytes);
  return nameText.test(name) && hashTagText.test(name) && isNoDirectory(name) ? name : undefined;
}

const prefixPhrase = `1 to ${limits.followPrefixBytesMax} bytes`;
const ownPrefix = "vstore:";

/** vstore's own keys cannot be followed: each change of the log would be one more change to log. */
export const followPrefix: Value<string> = bytes
  .transform(latin1)
  .refine((prefix) => prefix.length >= 1 && prefix.length <= limits.followPrefixBytesMax, prefixPhrase)
  .refine(
    (prefix) => !prefix.startsWith(ownPrefix) && !ownPrefix.startsWith(prefix),
    `a prefix that no key of vstore itself (${ownPrefix}...) has`,
  )
  .describe(`${prefixPhrase} that the keys begin with, but not those of ${ownPrefix}`);

const fieldPhrase = `at most ${limits.followFieldBytesMax} bytes`;

export const hashField: Value<string> = bytes
  .transform(latin1)
  .refine((field) => field.length <= limits.followFieldBytesMax, fieldPhrase)
  .describe(`the name of a field, ${fieldPhrase}`);

const scopeFieldPhrase = "1 to 64 characters of A-Z a-z 0-9 _ -";

/** Of the scope of a cache: a filter can name it. */
export const scopeField: Value<string> = bytes
  .transform(latin1)
  .refine((field) => /^[A-Za-z0-9_-]{1,64}$/.test(field), scopeFieldPhrase)
  .describe(scopeFieldPhrase);

const idPhrase = `1 to ${limits.cacheIdBytesMax} bytes`;

/** Of an entry of a cache. */
export const idBytes: Value<Uint8Array> = z
  .custom<Uint8Array>(
    (id) => (id as Uint8Array).length >= 1 && (id as Uint8Array).length <= limits.cacheIdBytesMax,
    idPhrase,
  )
  .describe(idPhrase);

export function bytesUpTo(bytesMax: number, meaning: string): Value<Uint8Array> {
  const phrase = `at most ${bytesMax} bytes`;
  return z
    .custom<Uint8Array>((given) => (given as Uint8Array).length <= bytesMax, phrase)
    .describe(`${phrase}; ${meaning}`);
}

/** UTF-8 of at most so many bytes. */
export function utf8Text(bytesMax: number): Value<string> {
  const phrase = `at most ${bytesMax} bytes of UTF-8`;
  return z
    .custom<Uint8Array>((text) => (text as Uint8Array).length <= bytesMax, { error: phrase, abort: true })
    .transform((text, context) => decodeUtf8(text) ?? refuse(context, phrase))
    .describe(phrase);
}

const fieldNamePhrase = "the name of a field such as year or author.country";

/** Of attributes, with or without a dot in front, as a filter names it. */
export const fieldName: Value<string> = bytes
  .transform(latin1)
  .refine((name) => /^\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(name), fieldNamePhrase)
  .describe(fieldNamePhrase);

const filterPhrase = "valid UTF-8";

/** The text of a filter expression; the engine parses it. */
export const filterText: Value<string> = bytes
  .transform((text, context) => decodeUtf8(text) ?? refuse(context, filterPhrase))
  .describe(
    `an expression of the attributes, ${filterPhrase} of at most ${limits.filterBytesMax} bytes; see filters.md`,
  );

const logIdPhrase = "the id of a log entry, like 1763829600000-0";

export const logId: Value<string> = bytes
  .transform(latin1)
  .refine((id) => ID_PATTERN.test(id), logIdPhrase)
  .describe(logIdPhrase);

const attributesPhrase = "a JSON object (or nothing, to remove it)";
const attributesSize = `at most ${limits.attributesBytesMax} bytes of JSON`;

export const attributesBytes: Value<Uint8Array> = z
  .custom<Uint8Array>((json) => (json as Uint8Array).length <= limits.attributesBytesMax, {
    error: attributesSize,
    abort: true,
  })
  .describe(`${attributesPhrase}, ${attributesSize}`);

/** Kept as the text that came, so that GETATTR returns exactly what was written. */
export const attributesJson: Value<CheckedAttributes> = attributesBytes
  .transform((text, context) => {
    const decoded = decodeUtf8(text);
    if (decoded === undefined) return refuse(context, "valid UTF-8");
    return checkedAttributes(text, decoded) ?? refuse(context, attributesPhrase);
  })
  .describe(`${attributesPhrase}, ${attributesSize}`);

/** What `attributesJson` makes of it, without the words of a refusal. */
export function readAttributes(text: Uint8Array): CheckedAttributes | undefined {
  if (text.length > limits.attributesBytesMax) return undefined;
  const flat = flatAttributes(text);
  if (flat !== undefined) return flat;
  const decoded = decodeUtf8(text);
  return decoded === undefined ? undefined : checkedAttributes(text, decoded);
}

function checkedAttributes(text: Uint8Array, decoded: string): CheckedAttributes | undefined {
  if (decoded === "") return NO_ATTRIBUTES;
  const json = readObject(decoded);
  return json && parsedAttributes(text, json);
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}

/** Undefined where the bytes are no UTF-8. */
export function decodeUtf8(encoded: Uint8Array): string | undefined {
  try {
    return utf8.decode(encoded);
  } catch {
    return undefined;
  }
}
