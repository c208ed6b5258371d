/**
 * A random choice of slots. Each slot is equally likely, and the time does not depend on how many slots there are.
 */

/**
 * Up to `count` different slots below `length`, in ascending order: one from each of `count` stretches of equal length.
 */
export function randomSlots(length: number, count: number): number[] {
  const chosen = Math.min(length, count);
  const begin = (i: number) => Math.floor((i * length) / chosen);
  return Array.from({ length: chosen }, (_, i) => {
    const stretch = begin(i + 1) - begin(i);
    return begin(i) + Math.floor(Math.random() * stretch);
  });
}
