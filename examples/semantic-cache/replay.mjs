/** The same traffic on one cache. */
import { SemanticCache } from "vstore/client";
import { dimensions, embed } from "./embedding.mjs";

/** What the model would take: half a second, and 50 ms for each word that it writes. */
const costOf = (answer) => 500 + 50 * answer.split(" ").length;

/** Nearest entries up to there are verified where entries learn. */
const verify = 0.3;
/** A value goes by itself if this program does not end. */
const secondsKept = 600;

/**
 * Three ways to run a cache, from what is common to what is possible:
 *
 * - `fixed`: one threshold, and what it answers is believed.
 * - `corrected`: one threshold, and a false answer is made good: the model's own is kept under the question's wording.
 * - `learnt`: beside that, each entry learns its threshold from reports, and what is farther away is verified.
 *
 * @param setting `kind`, `within`, and for `learnt` `errorRate`
 */
export async function replay(redis, name, questions, { kind, within, errorRate }) {
  const cache = new SemanticCache(redis, name, { embed: remembered });
  await redis.call("VSTORE.DROP", name).catch(() => {});
  await cache.create({ dim: dimensions, within, errorRate, ex: secondsKept });
  const counts = { exact: 0, hits: 0, falseHits: 0, verified: 0, newHits: 0, newFalseHits: 0 };
  for (const question of questions) await ask(cache, question, kind, counts);
  const { saved_ms: savedMs, entries } = await cache.info();
  await redis.call("VSTORE.DROP", name);
  return { ...figures(counts, questions), savedMs: Number(savedMs), entries: Number(entries) };
}

const vectors = new Map();

/** All caches ask the same questions. */
function remembered(text) {
  const vector = vectors.get(text) ?? embed(text);
  vectors.set(text, vector);
  return vector;
}

async function ask(cache, { text, answer, isNew }, kind, counts) {
  const found = await cache.get(text, { verify: kind === "learnt" ? verify : undefined });
  const isRight = found?.value === answer;
  count(counts, found?.status, isRight, isNew);
  if (found?.status === "exact") return;
  // In life the user says so, or the model that was asked to verify. Here the questions know their answers.
  if (kind === "learnt" && found !== undefined)
    await cache.feedback(found.id, isRight ? "HIT" : "FALSE", found.distance);
  // The model was asked: what it said is kept, so this wording is found exactly from now on.
  const isAsked = found?.status !== "hit" || (kind !== "fixed" && !isRight);
  if (isAsked) await cache.set(text, answer, { cost: costOf(answer) });
}

function count(counts, status, isRight, isNew) {
  if (status === "exact") counts.exact++;
  if (status === "verify") counts.verified++;
  if (status !== "hit") return;
  counts.hits++;
  counts.falseHits += !isRight;
  counts.newHits += isNew;
  counts.newFalseHits += isNew && !isRight;
}

function figures({ exact, hits, falseHits, verified, newHits, newFalseHits }, { length }) {
  return {
    exactRate: exact / length,
    hitRate: (exact + hits) / length,
    falseRate: falseHits / Math.max(1, exact + hits),
    newFalseRate: newFalseHits / Math.max(1, newHits),
    verifyRate: verified / length,
  };
}
