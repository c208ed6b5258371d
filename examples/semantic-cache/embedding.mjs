/**
 * An embedding that needs no model: the mean of a text's word vectors, rare words counting more (Arora, Liang and Ma,
 * "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017). It hears neither order nor negation, so
 * opposites are close. A real model slots in here, and does better: `embed` is all that a SemanticCache wants.
 */
import { readFileSync } from "node:fs";

export const dimensions = 100;

/** Rank at which a word counts half. */
const halfRank = 100;
/** Every 20 components of ../words are a scale and 20 signed bytes. */
const groupComponents = 20;
const groupBytes = 24;

const file = (name) => readFileSync(new URL(`../words/${name}`, import.meta.url));
/** The most frequent word first. */
const ranks = new Map(
  String(file("words-10k.txt"))
    .trimEnd()
    .split("\n")
    .map((word, rank) => [word, rank]),
);
const bytes = file("words-10k.i8");

export function embed(text) {
  const sum = new Float32Array(dimensions);
  for (const word of text.toLowerCase().match(/\p{L}+|\p{N}+/gu) ?? []) {
    const rank = ranks.get(word);
    const vector = rank === undefined ? drawn(word) : stored(rank);
    const weight = rank === undefined ? 1 : (rank + 1) / (rank + 1 + halfRank);
    const length = Math.hypot(...vector);
    for (let i = 0; i < dimensions; i++) sum[i] += (weight * vector[i]) / length;
  }
  return sum;
}

function stored(rank) {
  return Float32Array.from({ length: dimensions }, (_, i) => {
    const group = (rank * (dimensions / groupComponents) + Math.floor(i / groupComponents)) * groupBytes;
    return bytes.readFloatLE(group) * bytes.readInt8(group + 4 + (i % groupComponents));
  });
}

/** A word that is not among the 10,000 gets a vector of its own, drawn by its letters. */
function drawn(word) {
  const random = randomOf([...word].reduce((seed, letter) => seed * 31 + letter.codePointAt(0), 7));
  return Float32Array.from({ length: dimensions }, () => random() * 2 - 1);
}

/** Numbers from 0 to 1, the same ones for the same seed: mulberry32. */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
