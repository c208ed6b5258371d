/**
 * Clustered vectors from a seed, with what makes embeddings easier than noise: points lie around centres, and differ
 * from them in few directions of their space (and a little in all of them).
 */
import { generator } from "../../harness/random.ts";
import { type Matrix, matrix } from "./matrix.ts";

const CENTRES = 256;
/** Directions in which the points of a cluster differ. */
const INNER_DIMENSIONS = 32;
/** Of a component, beside centres and inner directions whose components have deviation 1. */
const NOISE = 0.1;

export function clustered(rows: number, dimensions: number, seed: number): Matrix {
  const random = generator(seed);
  const gaussian = gaussians(random);
  const fill = (length: number, deviation: number) =>
    Float32Array.from({ length }, () => gaussian() * deviation);
  const centres = fill(CENTRES * dimensions, 1);
  const directions = fill(INNER_DIMENSIONS * dimensions, 1 / Math.sqrt(INNER_DIMENSIONS));
  const data = fill(rows * dimensions, NOISE);
  for (let row = 0; row < rows; row++) {
    const vector = data.subarray(row * dimensions, (row + 1) * dimensions);
    addScaled(vector, centres, Math.floor(random() * CENTRES), 1);
    for (let i = 0; i < INNER_DIMENSIONS; i++) addScaled(vector, directions, i, gaussian());
  }
  return matrix(data, dimensions);
}

function addScaled(vector: Float32Array, rows: Float32Array, row: number, scale: number): void {
  const at = row * vector.length;
  for (let i = 0; i < vector.length; i++) vector[i]! += rows[at + i]! * scale;
}

/** Normally distributed numbers, two at a time (Box & Muller 1958). */
function gaussians(random: () => number): () => number {
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
