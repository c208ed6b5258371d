/**
 * Where the parts of a collection go when it is made: to the primaries in turn, each to a slot of its own in the middle
 * of its node's. The names then stand in the collection's files, so moving slots changes nothing about them.
 *
 *   docs → vstore:{812}:5f0c9a31b2d7:docs
 *
 * A part is an ordinary collection whose name begins with `vstore:`, so no application that may use `docs` alone can
 * name it. The word before that name is made of the id of the CREATE and the name: it keeps the part apart from those
 * of an earlier `docs`, and tells a CREATE that is found again what it has made.
 */
import { createHash } from "node:crypto";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { slotCount, slotOf } from "./nodes/slots.ts";
import type { Primary, Topology } from "./nodes/topology.ts";

/** Numbers below this one hash into every slot. */
const tagsMax = 2 ** 20;

/** Digits of the word that tells CREATEs apart. */
const wordDigits = 12;

/**
 * @param createId of the request in the control stream
 * @throws {VstoreError} LIMIT, where the names would be too long
 */
export function placeParts(
  collection: string,
  createId: string,
  count: number,
  topology: Topology,
): string[] {
  const rest = `${wordOf(collection, createId)}:${plainName(collection)}`;
  const names = tagsOf(slotsFor(count, topology)).map((tag) => `vstore:{${tag}}:${rest}`);
  const tooLong = names.find((name) => name.length > limits.collectionNameBytesMax);
  if (tooLong === undefined) return names;
  const over = tooLong.length - limits.collectionNameBytesMax;
  throw new VstoreError("LIMIT", `the name of a collection with SHARDS must be ${over} bytes shorter`);
}

/** Whether the part is one of this CREATE. */
export function isPartOf(part: string, collection: string, createId: string): boolean {
  const own = `:${wordOf(collection, createId)}:${plainName(collection)}`;
  return /^vstore:\{\d+\}/.exec(part)?.[0].concat(own) === part;
}

/** Braces stand for one hash tag alone in a name. */
function plainName(collection: string): string {
  return collection.replaceAll(/[{}]/g, ".");
}

function wordOf(collection: string, createId: string): string {
  return createHash("sha256").update(`${createId} ${collection}`).digest("hex").slice(0, wordDigits);
}

function slotsFor(count: number, { primaries }: Topology): number[] {
  if (primaries.length === 0) throw new VstoreError("ERR", "no node of the cluster has slots");
  return Array.from({ length: count }, (_, i) => {
    const turn = i % primaries.length;
    const ofPrimary = Math.floor((count - turn - 1) / primaries.length) + 1;
    return slotAt(primaries[turn]!, (Math.floor(i / primaries.length) + 0.5) / ofPrimary);
  });
}

/** The slot at this share of the primary's slots. */
function slotAt({ ranges }: Primary, share: number): number {
  const total = ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  let left = Math.floor(share * total);
  for (const [first, last] of ranges) {
    if (left <= last - first) return first + left;
    left -= last - first + 1;
  }
  return ranges.at(-1)![1];
}

/** The smallest number that hashes into each slot. */
function tagsOf(slots: readonly number[]): number[] {
  const wanted = new Set(slots);
  const tags = new Array<number | undefined>(slotCount);
  for (let tag = 0; tag < tagsMax && wanted.size > 0; tag++) {
    const slot = slotOf(String(tag));
    if (wanted.delete(slot)) tags[slot] = tag;
  }
  return slots.map((slot) => tags[slot]!);
}
