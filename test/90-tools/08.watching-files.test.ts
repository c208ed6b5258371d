/** docs/grafana.json and docs/alerts.yml ask for figures that there are. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { collectionFacts, collectionTimes, processFigures, storeFigures } from "../../src/bridge/figures.ts";

const figures = [
  ...[...collectionFacts, ...collectionTimes].map((each) => ({ ...each, prefix: "vstore_collection_" })),
  ...[...storeFigures, ...processFigures].map((each) => ({ ...each, prefix: "vstore_" })),
].filter(({ kind }) => kind !== "text");

/** Beside the declared ones: src/http/metrics.ts. */
const others = ["vstore_requests_total", "vstore_request_duration_seconds_bucket", "vstore_jobs"];
const known = new Set([
  ...figures.map(({ prefix, name, kind }) => `${prefix}${name}${kind === "counter" ? "_total" : ""}`),
  ...others,
]);

test.each(["grafana.json", "alerts.yml"])("%s", (file) => {
  const text = readFileSync(new URL(`../../docs/${file}`, import.meta.url), "utf8");
  const asked = [...new Set(text.match(/\bvstore_[a-z0-9_]+/g))];
  expect(asked.length).toBeGreaterThan(5);
  expect(asked.filter((name) => !known.has(name))).toEqual([]);
});
