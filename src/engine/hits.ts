/** Describes what a search found: keys and attributes instead of slots, read a slice at a time. */
import type { Parts } from "./generation/parts.ts";
import type { Neighbour } from "./index/vector-index.ts";
import { TimeSlice } from "./time-slice.ts";

export interface Hit {
  readonly key: Uint8Array;
  /** As options.ts defines it for the metric. */
  readonly distance: number;
  /** UTF-8 of the JSON text; only when asked for. */
  readonly attributes: Uint8Array | undefined;
}

/** Told how many bytes of attributes a search is about to read; when it rejects, none are. */
export type AttributesRoom = (bytes: number) => Promise<void> | undefined;

export async function describeHits(
  found: readonly Neighbour[],
  { keys, attributes }: Parts,
  room: AttributesRoom | undefined,
): Promise<Hit[]> {
  const slice = new TimeSlice();
  await room?.(found.reduce((sum, { slot }) => sum + attributes.lengthOf(slot), 0));
  const hits: Hit[] = [];
  for (const { slot, distance } of found) {
    const key = keys.table.keyOf(slot);
    hits.push({ key, distance, attributes: room && attributes.get(slot) });
    if (slice.spent) await slice.pause();
  }
  return hits;
}

export function isAmong(key: Uint8Array, keys: readonly Uint8Array[]): boolean {
  return keys.some((each) => Buffer.compare(each, key) === 0);
}
