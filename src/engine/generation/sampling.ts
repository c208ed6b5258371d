/** Keys by chance. */
import { randomMembers } from "../slots/random-members.ts";
import { randomSlots } from "../slots/random-slots.ts";
import type { Generation } from "./generation.ts";

export class Sampling {
  /** The one that a compaction last put in place. */
  readonly #generation: () => Generation;

  constructor(generation: () => Generation) {
    this.#generation = generation;
  }

  /** Those of up to `count` slots that are spread over all of them; fewer where many slots are dead. */
  spreadKeys(count: number): Uint8Array[] {
    const { parts, expiry } = this.#generation();
    const { segments, live, keys } = parts;
    const isFound = (slot: number) => live.has(slot) && !expiry.isHidden(slot);
    return randomSlots(segments.length, count)
      .filter(isFound)
      .map((slot) => keys.table.keyOf(slot));
  }

  /** Different ones, in random order, as many as there are at most. */
  async randomKeys(count: number): Promise<Uint8Array[]> {
    for (;;) {
      const generation = this.#generation();
      const { live, segments, keys } = generation.parts;
      const isThere = (slot: number) => !generation.expiry.isHidden(slot);
      const slots = await randomMembers(live, segments.length, isThere, count);
      // A compaction has moved the slots: once more.
      if (generation === this.#generation()) return slots.map((slot) => keys.table.keyOf(slot));
    }
  }
}
