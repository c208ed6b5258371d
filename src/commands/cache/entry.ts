/**
 * The attributes of an entry of a cache. `scope` and `tags` are for filters. `in` is the scope as one text. All else is
 * in an array with one object, which is no value to a filter: a column of it would cost memory and serve no question.
 *
 * {"entry":[{"value":"<digest>","bytes":5,"at":1763829600000}],"in":"<digest>","scope":{"tenant":"a"},"tags":["faq"]}
 */
import type { CheckedAttributes } from "../../engine/input.ts";
import { type Scope, scopeDigest } from "./cache.ts";
import type { Report } from "./reach.ts";

/** What an entry is beside its vector and its value. */
export interface EntryFacts {
  /** Digest of the value, as the module computes it. */
  readonly value: string;
  /** Of the value. */
  readonly bytes: number;
  /** When it was set, in ms since 1970. */
  readonly at: number;
  /** Time to live that its hits renew, in ms; missing where they do not, or where it does not expire. */
  readonly ttl?: number;
  /** Digest of scope and prompt; missing where it was set without a prompt. */
  readonly question?: string;
  /** The greatest distance at which it answers; missing where that of the cache holds. */
  readonly within?: number;
  /** What it took to make the value, in ms. */
  readonly cost?: number;
  /** The last reports about its answers, and the distance at which it answers since; see reach.ts. */
  readonly reports?: readonly Report[];
  readonly reach?: number;
}

/** Of the text, as far as the bytes of the value. */
const headBytes = 80;

export interface EntryAttributes {
  readonly entry: readonly [EntryFacts];
  readonly in?: string;
}

/** `value` and `bytes` come first in the text: they are read without parsing the rest. */
export function entryAttributes(
  facts: EntryFacts,
  scope: Scope,
  tags: readonly string[] = [],
): CheckedAttributes {
  const within = scopeDigest(scope);
  const json = {
    entry: [facts],
    ...(within !== undefined && {
      in: within,
      scope: Object.fromEntries(scope.map(({ field, value }) => [field, value])),
    }),
    ...(tags.length > 0 && { tags }),
  };
  return { text: Buffer.from(JSON.stringify(json)), json };
}

/** Of attributes that `entryAttributes` has made; undefined for anything else. */
export function readEntry(
  text: Uint8Array | string | undefined,
): { facts: EntryFacts; scope: string | undefined; attributes: EntryAttributes } | undefined {
  if (text === undefined) return undefined;
  const json = typeof text === "string" ? text : Buffer.from(text).toString("utf8");
  const attributes = JSON.parse(json) as EntryAttributes;
  const facts = attributes.entry?.[0];
  return facts && { facts, scope: attributes.in, attributes };
}

/** Bytes of the entry's value, by its text: the entry comes first, and its digest and bytes in it. */
export function bytesOfEntry(text: Buffer): number {
  const head = text.toString("latin1", 0, headBytes);
  return Number(/^\{"entry":\[\{"value":"[0-9a-f]*","bytes":(\d+)[,}]/.exec(head)?.[1] ?? 0);
}

/** The same entry with other facts. */
export function changedEntry(attributes: EntryAttributes, facts: EntryFacts): CheckedAttributes {
  const json = { ...attributes, entry: [facts] };
  return { text: Buffer.from(JSON.stringify(json)), json };
}
