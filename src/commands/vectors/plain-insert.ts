/**
 * The short way of plain INSERTs and MINSERTs, of what most writes are:
 *
 *   INSERT   collection key FP32 blob [SETATTR json]
 *   MINSERT  collection count key… FP32 blob [SETATTR json…]
 *
 * Arguments are read by their place, without a cursor, closures and a schema for each. Whatever is odd about a request,
 * or would be refused, takes the way of all others, which says what is wrong with it. The answers of both ways are the
 * same to the byte, and so is what they leave in the collection.
 */
import type { Collection } from "../../engine/collection.ts";
import type { CheckedAttributes } from "../../engine/input.ts";
import { limits } from "../../limits.ts";
import { checkAttributes } from "../grammar/arguments.ts";
import { isWord, shortWay, wholeNumber } from "../search/plain-search.ts";
import { encodeReply } from "../wire/resp3.ts";
import { insert } from "./insert.ts";
import { isSmallBatch, minsert } from "./minsert.ts";

const componentBytes = Float32Array.BYTES_PER_ELEMENT;
const inserted = encodeReply(1);
const replaced = encodeReply(0);
const plain = {};

/**
 * @param time of the request, in ms since 1970
 * @returns the encoded reply; undefined where the request has to take the other way, and has changed nothing
 */
export function insertPlainly(
  collection: Collection,
  name: string,
  args: readonly Uint8Array[],
  time: number,
): Buffer | undefined {
  const isOne = name === insert.name;
  if (!(isOne || name === minsert.name) || !shortWay.isOpen) return undefined;
  const { cache, shards } = collection.options;
  if (cache !== undefined || shards !== undefined) return undefined;
  try {
    return isOne ? insertOne(collection, args, time) : insertMany(collection, args, time);
  } catch {
    return undefined; // the other way fails too, and finds the words
  }
}

function insertOne(collection: Collection, args: readonly Uint8Array[], time: number): Buffer | undefined {
  if (args.length < 4 || !isWord(args[2]!, "FP32")) return undefined;
  const blob = args[3]!;
  if (blob.length !== collection.options.dimensions * componentBytes) return undefined;
  const attributes = attributesOf(args, 4, 1);
  if (attributes === odd || !hasRoom(collection, 1)) return undefined;
  const options = attributes === none ? plain : { attributes: attributes[0] };
  return collection.insert(args[1]!, floatsOf(blob), options, time) ? inserted : replaced;
}

function insertMany(collection: Collection, args: readonly Uint8Array[], time: number): Buffer | undefined {
  const count = wholeNumber(args[1], limits.keysMax);
  if (count === 0 || args.length < count + 4 || !isWord(args[count + 2]!, "FP32")) return undefined;
  const blob = args[count + 3]!;
  if (blob.length !== count * collection.options.dimensions * componentBytes) return undefined;
  const keys = args.slice(2, count + 2);
  const textBytes = () => (args.length > count + 4 ? bytesFrom(args, count + 5) : collection.keptBytes(keys));
  if (!isSmallBatch(count, blob.length, textBytes)) return undefined;
  const attributes = attributesOf(args, count + 4, count);
  if (attributes === odd || !hasRoom(collection, count)) return undefined;
  return encodeReply(collection.insertBatch(keys, floatsOf(blob), attributes, time));
}

/** The other way waits for more room, and hears where there is none. */
function hasRoom(collection: Collection, rows: number): boolean {
  const growth = collection.reserve(rows);
  growth?.catch(() => {});
  return growth === undefined;
}

/** What stands behind the blob: nothing at all, or something that takes the other way. */
const [none, odd] = [undefined, null];

/** Of SETATTR and so many texts. @throws VstoreError where one is no JSON */
function attributesOf(
  args: readonly Uint8Array[],
  from: number,
  count: number,
): CheckedAttributes[] | typeof none | typeof odd {
  if (args.length === from) return none;
  if (args.length !== from + 1 + count || !isWord(args[from]!, "SETATTR")) return odd;
  const checked: CheckedAttributes[] = [];
  for (let i = from + 1; i < args.length; i++) {
    if (args[i]!.length > limits.attributesBytesMax) return odd;
    checked.push(checkAttributes(args[i]!, "SETATTR"));
  }
  return checked;
}

function bytesFrom(args: readonly Uint8Array[], from: number): number {
  let total = 0;
  for (let i = from; i < args.length; i++) total += args[i]!.length;
  return total;
}

/** For blobs that do not lie as a Float32Array has to: most do not, in the pieces that a socket brings. */
const scratch = new Uint8Array(256 * 1024);
let scratchFloats = new Float32Array(scratch.buffer, 0, 0);

/** The components of a blob, until the next call. */
function floatsOf(blob: Uint8Array): Float32Array {
  const length = blob.length / componentBytes;
  if (blob.byteOffset % componentBytes === 0) return new Float32Array(blob.buffer, blob.byteOffset, length);
  if (blob.length > scratch.length) return new Float32Array(new Uint8Array(blob).buffer);
  scratch.set(blob);
  if (scratchFloats.length !== length) scratchFloats = new Float32Array(scratch.buffer, 0, length);
  return scratchFloats;
}
