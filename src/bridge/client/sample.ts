/**
 * Loads the word vectors of examples/words into a running vstore, through the same commands that any client uses.
 */
import { readFile } from "node:fs/promises";
import { Redis } from "ioredis";

const collection = "words";
const dimensions = 100;
/** Words of one VSTORE.MINSERT. */
const batchWords = 500;

const file = (name: string) => new URL(`../../../examples/words/${name}`, import.meta.url);

/** @param onProgress hears how many of the words are there, at the beginning and after every batch */
export async function loadSample(
  url: string,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const words = (await readFile(file("words-10k.txt"), "utf8")).trimEnd().split("\n");
  const vectors = await readFile(file("words-10k.f32"));
  const redis = new Redis(url, { protocol: 2 });
  try {
    await redis.call("VSTORE.CREATE", collection, "DIM", dimensions, "METRIC", "COSINE", "NX");
    if ((await redis.call("VSTORE.CARD", collection)) === words.length) return;
    onProgress(0, words.length);
    for (let start = 0; start < words.length; start += batchWords) {
      const batch = words.slice(start, start + batchWords);
      const rowBytes = dimensions * Float32Array.BYTES_PER_ELEMENT;
      const blob = vectors.subarray(start * rowBytes, (start + batch.length) * rowBytes);
      await redis.call("VSTORE.MINSERT", collection, batch.length, ...batch, "FP32", blob);
      onProgress(start + batch.length, words.length);
    }
  } finally {
    redis.disconnect();
  }
}
