/** Crash after crash, and nothing that was acknowledged is lost. `make torture` does the same for longer. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { testSeed } from "../../harness/random.ts";
import { failPoints } from "../../src/engine/fail-point.ts";
import { crashKinds, writePoints } from "../torture/crashes.ts";
import { describeTorture } from "../torture/report.ts";
import { compareWithExact } from "../torture/resemblance.ts";
import { Torture } from "../torture/torture.ts";

const CYCLES = 24;
/** A second each, on two free cores. */
const TEST_MS_MAX = 15 * 60_000;

test(
  `${CYCLES} crashes lose no acknowledged write`,
  async () => {
    const report = await Torture.run(testSeed(), CYCLES);
    console.log(describeTorture(report));
    expect(report.counts.acknowledged).toBeGreaterThan(10 * CYCLES);
    expect(report.counts.valuesChecked).toBeGreaterThan(100 * CYCLES);
    for (const kind of crashKinds) expect(report.crashes.get(kind) ?? 0, kind).toBeGreaterThan(0);
    const met = writePoints.filter((name) => report.crashes.has(name));
    expect(met.length).toBeGreaterThan(writePoints.length / 10);
  },
  TEST_MS_MAX,
);

test("the index agrees with EXACT on near-duplicates and duplicates that come and go", {
  timeout: TEST_MS_MAX,
}, async () => {
  let rounds = 0;
  await compareWithExact(testSeed(), 12, () => rounds++);
  expect(rounds).toBe(12);
});

test("every fail point is one place in the code", () => {
  const root = new URL("../../src/", import.meta.url).pathname;
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ts"),
  );
  const sources = files.map((file) => readFileSync(`${root}${file}`, "utf8"));
  const places = sources.flatMap((source) =>
    [...source.matchAll(/\bfailPoint\("([^"]+)"/g)].map(([, name]) => name),
  );
  expect(places.sort()).toEqual([...failPoints].sort());
});
