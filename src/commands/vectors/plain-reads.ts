/**
 * The short way of the smallest reads, whose work is little beside what every request costs:
 *
 *   CARD collection
 *   GET collection key [RAW]
 *
 * As with searches (plain-search.ts), arguments are read by their place, whatever is odd takes the way of all others,
 * and the answers of both ways are the same to the byte.
 */
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { isKey } from "../grammar/values.ts";
import { toBlob } from "../grammar/vector.ts";
import { isWord, shortWay } from "../search/plain-search.ts";
import type { Reply } from "../wire/reply.ts";
import { encodeReply, isLong } from "../wire/resp3.ts";

export interface PlainGet {
  readonly key: Uint8Array;
  readonly isRaw: boolean;
}

/** @param args of a CARD */
export function isPlainCard(args: readonly Uint8Array[]): boolean {
  return shortWay.isOpen && args.length === 1;
}

/** Undefined where it is not plain. @param args of a GET */
export function readPlainGet(args: readonly Uint8Array[]): PlainGet | undefined {
  const isRaw = args.length === 3 && isWord(args[2]!, "RAW");
  if (!shortWay.isOpen || (args.length !== 2 && !isRaw) || !isKey(args[1])) return undefined;
  return { key: args[1]!, isRaw };
}

/** Undefined where it has to take the other way. */
export function answerPlainCard(catalog: Catalog, name: string): Buffer | undefined {
  const collection = plainCollection(catalog, name);
  // Vectors that have just expired must be hidden first, which may take several turns.
  if (collection === undefined || collection.lifetimes.expiring > 0) return undefined;
  return encodeReply(collection.length);
}

/** Undefined where it has to take the other way. */
export function answerPlainGet(catalog: Catalog, name: string, { key, isRaw }: PlainGet): Buffer | undefined {
  const collection = plainCollection(catalog, name);
  const reply = collection && vectorOf(collection, key, isRaw);
  return reply === undefined || isLong(reply) ? undefined : encodeReply(reply);
}

/** Undefined where the row is damaged: the other way says so. */
function vectorOf(collection: Collection, key: Uint8Array, isRaw: boolean): Reply | undefined {
  try {
    const vector = collection.get(key);
    if (vector === undefined) return null;
    return isRaw ? toBlob(vector) : vector;
  } catch {
    return undefined;
  }
}

function plainCollection(catalog: Catalog, name: string): Collection | undefined {
  const collection = catalog.withheld.has(name) ? undefined : catalog.find(name);
  return collection?.options.shards === undefined ? collection : undefined;
}
