/**
 * Loads the word vectors of examples/words into a running vstore, through the same commands that any client uses.
 */
import type { Redis } from "ioredis";
import { connect } from "../redis/connection.ts";
import { readWordVectors, wordDimensions } from "./word-vectors.ts";

const collection = "words";
/** Words of one VSTORE.MINSERT. */
const batchWords = 500;

/**
 * @param onProgress is called with the number of words that are there, at the beginning and after every batch
 * @returns false when the collection is the user's own, which stays as it is
 */
export async function loadSample(
  url: string,
  onProgress: (done: number, total: number) => void,
): Promise<boolean> {
  const { words, vectors } = readWordVectors();
  const redis = await connect(url, "vstore-sample");
  try {
    await redis.call("VSTORE.CREATE", collection, "DIM", wordDimensions, "METRIC", "COSINE", "NX");
    const state = await stateOf(redis, words);
    if (state !== "begun") return state === "loaded";
    onProgress(0, words.length);
    for (let start = 0; start < words.length; start += batchWords) {
      const batch = words.slice(start, start + batchWords);
      const rows = vectors.slice(start * wordDimensions, (start + batch.length) * wordDimensions);
      const blob = Buffer.from(rows.buffer);
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
