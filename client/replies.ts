/**
 * Reads replies into TypeScript types. Keys, attributes and values are read as UTF-8. Other bytes are refused and not
 * replaced: a key with replaced bytes would not be the key that is stored.
 */
import { isUtf8 } from "node:buffer";
import type { Reply } from "./connection.ts";
import { UnreadableReplyError } from "./errors.ts";

/** The value of a Redis key: a string, the fields of a hash, or null for anything else. */
export type Value = string | Readonly<Record<string, string | null>> | null;

/** One result of a search. */
export interface Hit<A> {
  readonly key: string;
  /** Lower is nearer. */
  readonly distance: number;
  /** With `withAttrs`: null for a key without attributes. */
  readonly attributes?: A | null;
  /** With `withValues`. */
  readonly value?: Value;
}

export interface Details {
  readonly withAttrs?: boolean | undefined;
  readonly withValues?: boolean | undefined;
}

export function readText(reply: Reply): string {
  if (!Buffer.isBuffer(reply)) return String(reply);
  if (isUtf8(reply)) return reply.toString();
  throw new UnreadableReplyError(`a text that is not UTF-8: 0x${reply.toString("hex", 0, 64)}`);
}

export function readTextOrNull(reply: Reply): string | null {
  return reply === null ? null : readText(reply);
}

export function readNumber(reply: Reply): number {
  return typeof reply === "number" ? reply : Number(readText(reply));
}

export function readNumberOrNull(reply: Reply): number | null {
  return reply === null ? null : readNumber(reply);
}

export function readTexts(reply: Reply): string[] {
  return list(reply).map(readText);
}

export function readTextOrTexts(reply: Reply): string | string[] | null {
  return Array.isArray(reply) ? readTexts(reply) : readTextOrNull(reply);
}

/** The bytes of GET … RAW. */
export function readVector(reply: Reply): Float32Array | null {
  if (reply === null) return null;
  if (!Buffer.isBuffer(reply)) throw unexpected("the bytes of a vector", reply);
  return new Float32Array(new Uint8Array(reply).buffer);
}

export function readVectors(reply: Reply): (Float32Array | null)[] {
  return list(reply).map(readVector);
}

export function readAttributes<A>(reply: Reply): A | null {
  return reply === null ? null : JSON.parse(readText(reply));
}

export function readPage(reply: Reply): { cursor: string; keys: string[] } {
  const [cursor, keys] = list(reply);
  return { cursor: readText(cursor!), keys: readTexts(keys!) };
}

export function readWaited(reply: Reply): { applied: string; refused: number; reason: string | null } {
  const [applied, refused, reason] = list(reply);
  return { applied: readText(applied!), refused: readNumber(refused!), reason: readTextOrNull(reason!) };
}

/** Figures as numbers, all else as text. */
export function readFacts(reply: Reply): Record<string, string | number> {
  const facts: Record<string, string | number> = {};
  for (const [name, fact] of pairs(reply))
    facts[readText(name)] = typeof fact === "number" ? fact : readText(fact);
  return facts;
}

export function readFactsAndLists(reply: Reply): Record<string, string | number | string[]> {
  const facts: Record<string, string | number | string[]> = {};
  for (const [name, fact] of pairs(reply)) {
    const isNumber = typeof fact === "number";
    facts[readText(name)] = isNumber ? fact : Array.isArray(fact) ? readTexts(fact) : readText(fact);
  }
  return facts;
}

/** For commands that this version of the client has no reader for. */
export function readAny(reply: Reply): Reply {
  return Array.isArray(reply) ? reply.map(readAny) : Buffer.isBuffer(reply) ? readText(reply) : reply;
}

/** Of SEARCH WITHDISTANCES: `[distance, attributes?, value?]` of each key, the distance bare when it is alone. */
export function readHits<A>(reply: Reply, details: Details): Hit<A>[] {
  return pairs(reply).map(([key, detail]) => readHit(readText(key), detail, details));
}

/** Of MSEARCH WITHDISTANCES: those of each query. */
export function readHitsOfAll<A>(reply: Reply, details: Details): Hit<A>[][] {
  return list(reply).map((hits) => readHits<A>(hits, details));
}

function readHit<A>(key: string, detail: Reply, { withAttrs, withValues }: Details): Hit<A> {
  if (!withAttrs && !withValues) return { key, distance: readNumber(detail) };
  const [distance, ...rest] = list(detail);
  return {
    key,
    distance: readNumber(distance!),
    ...(withAttrs && { attributes: readAttributes<A>(rest.shift()!) }),
    ...(withValues && { value: readValue(rest.shift()!) }),
  };
}

function readValue(reply: Reply): Value {
  if (!Array.isArray(reply)) return readTextOrNull(reply);
  return Object.fromEntries(pairs(reply).map(([field, value]) => [readText(field), readTextOrNull(value)]));
}

/** Of a flat array of names and values, or of an array of pairs. A name is never an array. */
function pairs(reply: Reply): [Reply, Reply][] {
  const items = list(reply);
  if (Array.isArray(items[0])) return items.map((pair) => pairOf(list(pair)));
  return Array.from({ length: items.length / 2 }, (_, i) => [items[2 * i]!, items[2 * i + 1]!]);
}

/** A pair may name its details one after the other. */
function pairOf([name, ...details]: Reply[]): [Reply, Reply] {
  return [name!, details.length === 1 ? details[0]! : details];
}

function list(reply: Reply): Reply[] {
  if (Array.isArray(reply)) return reply;
  throw unexpected("an array", reply);
}

function unexpected(what: string, reply: Reply): UnreadableReplyError {
  return new UnreadableReplyError(`expected ${what}, got ${typeof reply}`);
}
