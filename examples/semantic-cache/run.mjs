/**
 * What thresholds of their own do for the entries of a semantic cache. The same questions (traffic.mjs) go through
 * caches that are run in three ways (replay.mjs). Prints a table, and draws false hits over hits into PICTURE, if that
 * names a file. QUESTIONS and SEED change the traffic.
 */
import { writeFileSync } from "node:fs";
import { Redis } from "ioredis";
import { drawPicture } from "./picture.mjs";
import { replay } from "./replay.mjs";
import { traffic } from "./traffic.mjs";

const { REDIS_URL = "redis://127.0.0.1:6379", QUESTIONS = "6000", SEED = "1", PICTURE } = process.env;
const settings = [
  ...[0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06].map((within) => ({ kind: "fixed", within })),
  ...[0, 0.01, 0.02, 0.03, 0.04, 0.05].map((within) => ({ kind: "corrected", within })),
  ...[0.2, 0.25, 0.3, 0.35, 0.4, 0.5].map((errorRate) => ({ kind: "learnt", within: 0, errorRate })),
];

const questions = traffic(Number(QUESTIONS), Number(SEED));
const redis = new Redis(REDIS_URL);
const results = await Promise.all(
  settings.map(async (setting, at) => ({
    ...setting,
    ...(await replay(redis, `example-cache-${at}`, questions, setting)),
  })),
);
redis.disconnect();

const ofKind = (kind) => results.filter((each) => each.kind === kind).sort((a, b) => a.hitRate - b.hitRate);

/** False hits of the one threshold with this hit rate, between those that were tried. */
function falseRateAt(hitRate, kind) {
  const tried = ofKind(kind);
  const above = tried.findIndex((each) => each.hitRate >= hitRate);
  if (above <= 0) return undefined;
  const [low, high] = [tried[above - 1], tried[above]];
  const part = (hitRate - low.hitRate) / (high.hitRate - low.hitRate);
  return low.falseRate + part * (high.falseRate - low.falseRate);
}

const percent = (share) => `${(share * 100).toFixed(1)} %`;

function besides({ kind, hitRate, falseRate }, other) {
  const rate = kind === "learnt" ? falseRateAt(hitRate, other) : undefined;
  return rate === undefined ? "" : `${percent(rate)} (x ${(falseRate / rate).toFixed(2)})`;
}

console.log(`${questions.length} questions, seed ${SEED}`);
console.table(
  results.map((each) => ({
    thresholds: each.kind,
    WITHIN: each.within,
    ERRORRATE: each.errorRate ?? "",
    hits: percent(each.hitRate),
    "exact ones": percent(each.exactRate),
    "false hits": percent(each.falseRate),
    "fixed at as many hits": besides(each, "fixed"),
    "corrected at as many hits": besides(each, "corrected"),
    "false, new wordings": percent(each.newFalseRate),
    verified: percent(each.verifyRate),
    entries: each.entries,
    "saved, s": Math.round(each.savedMs / 1000),
  })),
);

if (PICTURE !== undefined) {
  const points = (kind) => ofKind(kind).map(({ hitRate, falseRate }) => [hitRate, falseRate]);
  const picture = drawPicture({
    title: "False hits of a semantic cache",
    x: { name: "questions that the cache answers", min: 0.5 },
    y: { name: "of these answers false", max: 0.35 },
    series: [
      { name: "one threshold (WITHIN 0 to 0.06)", colour: "#d62728", points: points("fixed") },
      { name: "the same, false answers corrected", colour: "#ff7f0e", points: points("corrected") },
      { name: "each entry its own (ERRORRATE 0.2 to 0.5)", colour: "#1f77b4", points: points("learnt") },
    ],
  });
  writeFileSync(PICTURE, picture);
}
