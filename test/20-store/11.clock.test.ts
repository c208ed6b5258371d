/** The clock that judges what has expired: a step of the wall clock counts when it has lasted. */
import { expect, test } from "vitest";
import { steadyTime } from "../../src/engine/clock.ts";
import { Collection } from "../../src/engine/collection.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const START = 1_700_000_000_000;
const YEAR = 365 * 24 * 3_600_000;

/** A wall clock and a monotonic one in the test's hands. */
function clocks() {
  const state = { elapsed: 0, wrong: 0 };
  const clock = steadyTime(
    () => START + state.elapsed + state.wrong,
    () => state.elapsed,
  );
  const pass = (ms: number, wrong = state.wrong) => {
    state.wrong = wrong;
    for (const end = state.elapsed + ms; state.elapsed < end; clock()) state.elapsed += Math.min(1_000, ms);
  };
  return { clock, pass };
}

test("a wall clock that is a year ahead for three seconds changes nothing", () => {
  const { clock, pass } = clocks();
  pass(5_000);
  pass(3_000, YEAR);
  expect(clock()).toBe(START + 8_000);
  pass(100_000, 0);
  expect(clock()).toBe(START + 108_000);
});

test("a correction of less than a second is followed at once, but not back", () => {
  const { clock, pass } = clocks();
  pass(1_000, 500);
  expect(clock()).toBe(START + 1_500);
  pass(100, 0);
  expect(clock()).toBe(START + 1_500);
  pass(1_000);
  expect(clock()).toBe(START + 2_100);
});

test.each([YEAR, -YEAR])("a step of %d ms that lasts is followed after a minute", (step) => {
  const { clock, pass } = clocks();
  pass(59_000, step);
  expect(clock()).toBe(START + 59_000);
  pass(3_000);
  expect(clock()).toBe(START + step + 62_000);
});

test("what was hidden by a clock that was set back is found again", async () => {
  const directory = temporaryDirectory();
  await createFiles(directory, "c", resolveOptions({ dimensions: 1, metric: "L2" }), "0-0");
  let now = START;
  const store = await Collection.open(
    directory,
    () => {},
    "auto",
    () => now,
  );
  const key = Buffer.from("k");
  store.insert(key, Float32Array.of(1), { deadline: START + 1_000 }, START);
  now = START + YEAR;
  expect([store.length, await store.search(Float32Array.of(1), { k: 1 })]).toEqual([0, []]);
  now = START + 10;
  expect([store.length, (await store.search(Float32Array.of(1), { k: 1 })).length]).toEqual([1, 1]);
  await store.close();
});
