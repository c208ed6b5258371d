/** Exact search over every row: of the tail, of a small collection, and for EXACT, the built-in oracle. */

import type { Segments } from "../disk/segments.ts";
import { TimeSlice } from "../time-slice.ts";
import type { Distance } from "./distance.ts";
import type { Nearest } from "./nearest.ts";

/** Components looked at between two looks at the clock: about 0.2 ms. */
const COMPONENTS_PER_CHECK = 1 << 17;

/**
 * Offers every slot in [from, to) that `sees` lets through.
 *
 * @param within the largest distance that is offered
 */
export async function scan(
  segments: Segments,
  [from, to]: readonly [number, number],
  distance: Distance,
  sees: (slot: number) => boolean,
  within: number,
  nearest: Nearest,
): Promise<void> {
  const slice = new TimeSlice();
  for (const block of segments.blocks(from, to, COMPONENTS_PER_CHECK)) {
    if (slice.spent) await slice.pause();
    for (let slot = block.from, at = block.start; slot < block.to; slot++, at += block.dimensions) {
      if (!sees(slot)) continue;
      const value = distance(block.rows, at);
      if (value <= within) nearest.offer(slot, value);
    }
  }
}
