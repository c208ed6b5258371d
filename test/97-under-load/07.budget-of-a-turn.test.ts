/**
 * Slices of all kinds share what one turn of the event loop has for them, with what requests took of it. Each look at
 * the clock moves it on by a step, so what is counted is the use of that budget, and no time.
 */
import { stat } from "node:fs/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { encodeInSlices } from "../../src/commands/wire/resp3.ts";
import { findAddon } from "../../src/engine/addon.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { TimeSlice, TURN_MS_MAX } from "../../src/engine/time-slice.ts";
import { temporaryDirectory } from "../harness/directory.ts";

interface Meter {
  readonly number: Uint32Array;
  stop(): void;
}

/** What a look at the clock takes. */
const lookMs = 0.05;
const looksPerTurn = TURN_MS_MAX / lookMs;

let now = 1e6;
/** By the number of the turn. */
let looks: Map<number, number>;
let turns: Meter;

beforeEach(() => {
  turns = findAddon<{ measureTurns(): Meter }>()!.measureTurns();
  looks = new Map();
  vi.spyOn(performance, "now").mockImplementation(() => {
    const turn = turns.number[0]!;
    looks.set(turn, (looks.get(turn) ?? 0) + 1);
    now += lookMs;
    return now;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  turns.stop();
});

/** Resolves where the loop hears of files and sockets: there requests arrive. */
const arrival = () => stat(".");

/** Looks at the clock as a request of so many steps does. */
async function request(steps: number): Promise<void> {
  await arrival();
  const slice = new TimeSlice(TURN_MS_MAX);
  for (let step = 0; step < steps; step++) if (slice.spent) await slice.pause();
}

test("writes, deletions, filters, replies and requests share the budget of a turn", async () => {
  const catalog = await Catalog.open(`${temporaryDirectory()}/data`);
  const keys = Array.from({ length: 3_000 }, (_, i) => Buffer.from(`key ${i}`));
  const texts = keys.map((_, i) => Buffer.from(`{"n":${i},"t":"${"x".repeat(1_100)}"}`));
  const rows = {
    keys,
    vectorOf: () => new Float32Array(1),
    attributes: texts,
    time: Date.now(),
    lifetime: {},
  };
  const options = resolveOptions({ dimensions: 1, metric: "L2" });
  const collections = await Promise.all(
    ["a", "b", "c"].map((name, i) => catalog.create(name, options, `${i + 1}-0`)),
  );
  (await collections[0]!.insertLargeBatch(rows))();
  looks.clear();
  const writing = collections.slice(1).map(async (each) => (await each.insertLargeBatch(rows))());
  const tasks = [
    ...writing,
    collections[0]!.search(new Float32Array(1), { k: 10, filter: '.n > 5 and .t != "y"' }),
    collections[0]!.matching.explain(".n in [1, 2]", 10, undefined),
    collections[0]!.deleteMany(keys),
    encodeInSlices(keys.map((key) => key.toString())),
    ...Array.from({ length: 8 }, () => request(200)),
  ];
  await Promise.all(tasks);
  // Each task looks before its first step, and each that waits looks whether it may go on.
  expect(Math.max(...looks.values())).toBeLessThanOrEqual(looksPerTurn + 4 * tasks.length);
  await catalog.close();
});

test("long steps have a turn each", async () => {
  const begun: number[] = [];
  const task = async () => {
    await arrival();
    await new TimeSlice().beforeLongStep();
    begun.push(turns.number[0]!);
    now += 2 * TURN_MS_MAX;
  };
  await Promise.all(Array.from({ length: 20 }, task));
  expect(new Set(begun).size).toBe(begun.length);
});

test("work in the background goes on in every second turn, however much requests take", async () => {
  const steps = 30;
  let isOver = false;
  const requests = async () => {
    while (!isOver) {
      await arrival();
      const slice = new TimeSlice(TURN_MS_MAX);
      if (slice.spent) await slice.pause();
      now += 2 * TURN_MS_MAX;
    }
  };
  const busy = [requests(), requests(), requests()];
  const slice = new TimeSlice();
  const first = turns.number[0]!;
  for (let step = 0; step < steps; step++) await slice.pause();
  // One of those that wait goes on in every second turn, and the requests that wait take turns with it.
  expect(turns.number[0]! - first).toBeLessThanOrEqual(2 * 2 * steps + 10);
  isOver = true;
  await Promise.all(busy);
});
