/**
 * Cuts the items of a job into MINSERTs with the same effect as inserting one item after the other. MINSERT
 * takes attributes for all of its keys or for none, hence two kinds of batches. Those with attributes go first, because
 * an item without them keeps what its key has; it is left out where a later item of the same key replaces all of it.
 */
import { toBlob } from "../../commands/grammar/vector.ts";
import type { Item } from "./item.ts";

/** Size of one batch, far below what one command may have. */
const batchBytesMax = 8 * 1024 * 1024;

export interface Batch {
  readonly items: number;
  /** Of VSTORE.MINSERT, after the collection. */
  readonly args: readonly (string | number | Buffer)[];
}

export function toBatches(items: readonly Item[], itemsMax: number): Batch[] {
  const attributed = items.filter((item) => item.attributes !== undefined);
  const plain = attributed.length === 0 ? items : withoutReplaced(items);
  return [...cut(attributed, itemsMax), ...cut(plain, itemsMax)].map(toBatch);
}

/** The items without attributes, but for those that a later one with attributes replaces. */
function withoutReplaced(items: readonly Item[]): Item[] {
  const last = new Map<string, number>();
  for (const [at, item] of items.entries()) if (item.attributes !== undefined) last.set(item.key, at);
  return items.filter((item, at) => item.attributes === undefined && at > (last.get(item.key) ?? -1));
}

function cut(items: readonly Item[], itemsMax: number): Item[][] {
  const batches: Item[][] = [];
  let bytes = 0;
  for (const item of items) {
    bytes += bytesOf(item);
    const batch = batches.at(-1);
    if (batch === undefined || batch.length === itemsMax || bytes > batchBytesMax) {
      batches.push([item]);
      bytes = bytesOf(item);
    } else {
      batch.push(item);
    }
  }
  return batches;
}

/** Near enough: in UTF-8 a character has up to three bytes. */
function bytesOf({ key, vector, attributes }: Item): number {
  return key.length + vector.byteLength + (attributes?.length ?? 0);
}

function toBatch(items: readonly Item[]): Batch {
  const keys = items.map(({ key }) => key);
  const blob = Buffer.concat(items.map(({ vector }) => toBlob(vector)));
  const attributes = items.flatMap((item) => item.attributes ?? []);
  const options = attributes.length === 0 ? [] : ["SETATTR", ...attributes];
  return { items: items.length, args: [items.length, ...keys, "FP32", blob, ...options] };
}
