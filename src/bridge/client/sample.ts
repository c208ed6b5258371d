/**
 * Loads the word vectors of examples/words into a running vstore, through the same commands that any client uses.
 */
import { readFile } from "node:fs/promises";
import type { Redis } from "ioredis";
import { connect } from "../redis/connection.ts";

const collection = "words";
const dimensions = 100;
/** Words of one VSTORE.MINSERT. */
const batchWords = 500;

const file = (name: string) => new URL(`../../../examples/words/${name}`, import.meta.url);

/**
 * @param onProgress is called with the number of words that are there, at the beginning and after every batch
 * @returns false when the collection is the user's own, which stays as it is
 */
export async function loadSample(
  url: string,
  onProgress: (done: number, total: number) => void,
): Promise<boolean> {
  const words = (await readFile(file("words-10k.txt"), "utf8")).trimEnd().split("\n");
  const vectors = await readFile(file("words-10k.f32"));
  const redis = await connect(url, "vstore-sample");
  try {
    await redis.call("VSTORE.CREATE", collection, "DIM", dimensions, "METRIC", "COSINE", "NX");
    const state = await stateOf(redis, words);
    if (state !== "begun") return state === "loaded";
    onProgress(0, words.length);
    for (let start = 0; start < words.length; start += batchWords) {
      const batch = words.slice(start, start + batchWords);
      const rowBytes = dimensions * Float32Array.BYTES_PER_ELEMENT;
      const blob = vectors.subarray(start * rowBytes, (start + batch.length) * rowBytes);
      await redis.call("VSTORE.MINSERT", collection, batch.length, ...batch, "FP32", blob);
      onProgress(start + batch.length, words.length);
    }
    return true;
  } finally {
    redis.disconnect();
  }
}

/**
 * The words go in one after the other, so the last one tells whether all did. Words that the user adds or deletes do
 * not bring the sample back.
 */
async function stateOf(redis: Redis, words: readonly string[]): Promise<"loaded" | "begun" | "foreign"> {
  const has = async (word: string) => (await redis.call("VSTORE.EXISTS", collection, word)) === 1;
  if (await has(words.at(-1)!)) return "loaded";
  const isEmpty = (await redis.call("VSTORE.CARD", collection)) === 0;
  return isEmpty || (await has(words[0]!)) ? "begun" : "foreign";
}
