/** Slots drawn by chance, all with the same odds as nearly as they can be found without looking at all. */
import type { Bitmap } from "./bitmap.ts";

/** Draws that may hit a slot that is dead before the next one after it is taken. */
const DRAWS_MAX = 64;

/**
 * Different slots, in random order: `count` of them, or all that there are.
 *
 * @param length of the slots that are drawn from
 * @param isThere whether a slot may be drawn; it is one of `live`
 */
export function randomMembers(
  live: Bitmap,
  length: number,
  isThere: (slot: number) => boolean,
  count: number,
): number[] {
  // Nearly all are wanted: drawing the last ones by chance would take long.
  if (2 * count >= live.count) return shuffled([...live.slots()].filter(isThere)).slice(0, count);
  const chosen = new Set<number>();
  for (let missed = 0; chosen.size < count && missed < DRAWS_MAX * count; ) {
    const slot = drawn(live, length);
    if (slot !== undefined && isThere(slot) && !chosen.has(slot)) chosen.add(slot);
    else missed++;
  }
  if (chosen.size === count) return [...chosen];
  return shuffled([...live.slots()].filter(isThere)).slice(0, count);
}

/** One of the live slots. Where most are dead, those behind a gap are drawn more often. */
function drawn(live: Bitmap, length: number): number | undefined {
  let slot = 0;
  for (let i = 0; i < DRAWS_MAX; i++) {
    slot = Math.floor(Math.random() * length);
    if (live.has(slot)) return slot;
  }
  return live.slots(slot).next().value ?? live.slots().next().value ?? undefined;
}

/** Fisher and Yates'. */
function shuffled(slots: number[]): number[] {
  for (let i = slots.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [slots[i], slots[j]] = [slots[j]!, slots[i]!];
  }
  return slots;
}
