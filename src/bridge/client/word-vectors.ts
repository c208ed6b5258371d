/**
 * The vectors of examples/words, as small as the package wants them: every 20 components of a row are a float32 scale
 * and 20 signed bytes that it multiplies. One scale for each row would be smaller still, but then the index' own codes
 * of 8 bits would hold such vectors without any loss, unlike those of real data.
 */
import { readFileSync } from "node:fs";

export const wordDimensions = 100;

const groupComponents = 20;
const scaleBytes = 4;
const groupBytes = scaleBytes + groupComponents;

const file = (name: string) => new URL(`../../../examples/words/${name}`, import.meta.url);

export interface WordVectors {
  readonly words: readonly string[];
  /** Shape (words.length x wordDimensions). */
  readonly vectors: Float32Array;
}

export function readWordVectors(): WordVectors {
  const words = readFileSync(file("words-10k.txt"), "utf8").trimEnd().split("\n");
  return { words, vectors: decode(readFileSync(file("words-10k.i8"))) };
}

function decode(bytes: Buffer): Float32Array {
  const groups = bytes.length / groupBytes;
  const vectors = new Float32Array(groups * groupComponents);
  for (let group = 0; group < groups; group++) {
    const at = group * groupBytes;
    const scale = bytes.readFloatLE(at);
    for (let i = 0; i < groupComponents; i++)
      vectors[group * groupComponents + i] = scale * bytes.readInt8(at + scaleBytes + i);
  }
  return vectors;
}
