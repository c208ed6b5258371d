/** Slots drawn by chance, all with the same odds as nearly as they can be found without looking at all. */
import { TimeSlice } from "../time-slice.ts";
import type { Bitmap } from "./bitmap.ts";

/** Draws that may hit a slot that is dead before the next one after it is taken. */
const DRAWS_MAX = 64;
/** Draws in vain, beside as many as are wanted, before all slots are looked at. */
const MISSES_MAX = 1_024;

/** Slots looked at between two looks at the clock. */
const SLOTS_PER_CHECK = 256;

/**
 * Different slots, in random order: `count` of them, or all that there are. In slices.
 *
 * @param length of the slots that are drawn from
 * @param isThere whether a slot may be drawn; it is one of `live`
 */
export async function randomMembers(
  live: Bitmap,
  length: number,
  isThere: (slot: number) => boolean,
  count: number,
): Promise<number[]> {
  // Nearly all are wanted, or hard to hit: to look for them one by one would take long.
  if (2 * count >= live.count || live.count * DRAWS_MAX < length) return chosenOfAll(live, isThere, count);
  const chosen = new Set<number>();
  const slice = new TimeSlice();
  for (let missed = 0; chosen.size < count && missed < MISSES_MAX + count; ) {
    const slot = drawn(live, length);
    if (slot !== undefined && isThere(slot) && !chosen.has(slot)) chosen.add(slot);
    else missed++;
    if (slice.spent) await slice.pause();
  }
  return chosen.size === count ? [...chosen] : chosenOfAll(live, isThere, count);
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

/** By looking at each of them once: a sample that all are equally likely to be in (Vitter 1985, algorithm R). */
async function chosenOfAll(
  live: Bitmap,
  isThere: (slot: number) => boolean,
  count: number,
): Promise<number[]> {
  const chosen: number[] = [];
  const slice = new TimeSlice();
  let [looked, seen] = [0, 0];
  for (const slot of live.slots()) {
    if (++looked % SLOTS_PER_CHECK === 0 && slice.spent) await slice.pause();
    if (!live.has(slot) || !isThere(slot)) continue;
    const place = chosen.length < count ? chosen.length : Math.floor(Math.random() * (seen + 1));
    if (place < count) chosen[place] = slot;
    seen++;
  }
  return shuffled(chosen);
}

/** Fisher and Yates'. */
function shuffled(slots: number[]): number[] {
  for (let i = slots.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [slots[i], slots[j]] = [slots[j]!, slots[i]!];
  }
  return slots;
}
