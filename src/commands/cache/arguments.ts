/** Arguments that commands of caches share. Lists say how long they are, so that no value is taken for an option. */
import { limits } from "../../limits.ts";
import {
  type Arguments,
  afterToken,
  counted,
  integerValue,
  optionally,
  sequence,
  value,
} from "../grammar/arguments.ts";
import { blob, bytesUpTo, double, scopeField, utf8Text } from "../grammar/values.ts";

const scopeValue = utf8Text(limits.cacheScopeValueBytesMax);

const scopePart = sequence({
  field: value("field", "string", scopeField),
  value: value("value", "string", scopeValue),
});
const pair = {
  nodes: [{ name: "part", type: "block" as const, arguments: scopePart.nodes }],
  parse: scopePart.parse,
};

/** `SCOPE n field value [field value …]` */
export const scope = afterToken("SCOPE", counted("fields", pair, limits.cacheScopeFieldsMax));

const given = afterToken(
  "VALUE",
  value("bytes", "string", blob(`the value, at most ${limits.cacheValueBytesMax} bytes`)),
);

/** The module has taken it out of a request that it has stored. */
export const storedValue: Arguments<Uint8Array | undefined> = {
  nodes: given.nodes,
  parse: optionally(given).parse,
};

export const tag = value("tag", "string", utf8Text(limits.cacheTagBytesMax));

/** `TAGS n tag [tag …]` */
export const tags = afterToken("TAGS", counted("count", tag, limits.cacheTagsMax));

const expects = "it is the same question whatever white space and whatever canonical form of Unicode it has";

/** The module has made a digest of it, and has taken it out, unless it could not read the request. */
export const prompt = afterToken(
  "PROMPT",
  value("prompt", "string", bytesUpTo(limits.cachePromptBytesMax, expects)),
);

export const distance = (token: string) => afterToken(token, value("distance", "double", double()));

export const seconds = afterToken("EX", integerValue("seconds", 1, limits.ttlSecondsMax));
