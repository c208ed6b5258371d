/** Describes what a search found: keys and attributes instead of slots, read a slice at a time. */
import type { Parts } from "./generation/parts.ts";
import type { Neighbour } from "./index/vector-index.ts";
import { mapInSlices } from "./time-slice.ts";

export interface Hit {
  readonly key: Uint8Array;
  /** As options.ts defines it for the metric. */
  readonly distance: number;
  /** UTF-8 of the JSON text; only when asked for. */
  readonly attributes: Uint8Array | undefined;
}

/** Told how many bytes of keys and attributes a search is about to read; when it rejects, none are. */
export type AttributesRoom = (bytes: number) => Promise<void> | undefined;

export async function describeHits(
  found: readonly Neighbour[],
  { keys, attributes }: Parts,
  room: AttributesRoom | undefined,
): Promise<Hit[]> {
  await room?.(
    found.reduce((sum, { slot }) => sum + keys.table.keyOf(slot).length + attributes.lengthOf(slot), 0),
  );
  return mapInSlices(found, ({ slot, distance }) => ({
    key: keys.table.keyOf(slot),
    distance,
    attributes: room && attributes.get(slot),
  }));
}

/** Those with none of the keys: by their slots, as the text of each key found would cost 3 us. */
export function excluding(
  found: readonly Neighbour[],
  excluded: KeySet,
  { keys: { table }, live }: Parts,
): readonly Neighbour[] {
  if (excluded.size === 0) return found;
  const slots = new Set(excluded.keys.map((key) => table.find(key)));
  // A key that got a new vector meanwhile was found in a slot that is dead now.
  const isExcluded = (slot: number) => (live.has(slot) ? slots.has(slot) : excluded.has(table.keyOf(slot)));
  return found.filter(({ slot }) => !isExcluded(slot));
}

/** Keys that can be looked for by their bytes. */
export class KeySet {
  readonly keys: readonly Uint8Array[];
  readonly #texts: ReadonlySet<string>;

  constructor(keys: readonly Uint8Array[]) {
    this.keys = keys;
    this.#texts = new Set(keys.map(textOf));
  }

  /** Most searches exclude none, and a set costs some of them a hundredth of their time. */
  static of(keys: readonly Uint8Array[] | undefined): KeySet {
    return keys === undefined || keys.length === 0 ? NO_KEYS : new KeySet(keys);
  }

  get size(): number {
    return this.#texts.size;
  }

  has(key: Uint8Array): boolean {
    return this.#texts.size > 0 && this.#texts.has(textOf(key));
  }
}

const textOf = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString("latin1");

const NO_KEYS = new KeySet([]);
