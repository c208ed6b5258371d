/** Seeded randomness. A run prints its seed; VSTORE_TEST_SEED=<seed> repeats it. */
import { randomInt } from "node:crypto";

export function testSeed(): number {
  const given = process.env.VSTORE_TEST_SEED;
  const seed = given === undefined ? randomInt(2 ** 31) : Number(given);
  console.log(`seed ${seed} (repeat with VSTORE_TEST_SEED=${seed})`);
  return seed;
}

/** Numbers in [0, 1): mulberry32 (Tommy Ettinger, public domain). */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A vector of components in [-1, 1). */
export function randomVector(random: () => number, dimensions: number): Float32Array {
  return Float32Array.from({ length: dimensions }, () => random() * 2 - 1);
}
