/** The ways of searching among matches, each where it is taken: its results against exact ones. */
import { expect, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import type { GraphSearchOptions } from "../../src/engine/index/native-addon.ts";
import { expectSame, type Fixture, filled, recall } from "../harness/native-graph.ts";

const random = generator(testSeed());
const QUERIES = 60;

const bitmapOf = (slots: number, may: (slot: number) => boolean) => {
  const allowed = new Uint8Array((slots + 7) >> 3);
  for (let slot = 0; slot < slots; slot++) if (may(slot)) allowed[slot >> 3]! |= 1 << (slot & 7);
  return allowed;
};

async function meanRecall(
  fixture: Fixture,
  may: (slot: number) => boolean,
  options: Partial<GraphSearchOptions> & { k: number },
): Promise<number> {
  const allowed = bitmapOf(fixture.slots, may);
  let sum = 0;
  for (let i = 0; i < QUERIES; i++) {
    const query = randomVector(random, fixture.graph.options.dimensions);
    const found = await fixture.search(query, { ...options, allowed });
    sum += recall(found, fixture.expected(query, options.k, may));
  }
  return sum / QUERIES;
}

/** Slots at distances from a query that differ by less than codes can tell, and then others. */
async function sphere(query: Float32Array, length: number): Promise<Fixture> {
  const fixture = await filled(random, { metric: "L2", dimensions: query.length }, 1_000);
  for (let i = 0; i < length; i++) {
    const offset = randomVector(random, query.length);
    const factor = (1 + 1e-4 * random()) / Math.hypot(...offset);
    fixture.insert(offset.map((component, at) => query[at]! + factor * component));
  }
  await fixture.index();
  return fixture;
}

test("a comparison of all matches misses none where codes cannot tell them apart", async () => {
  const query = randomVector(random, 16);
  const fixture = await sphere(query, 500);
  const may = (slot: number) => slot >= 1_000;
  expect(fixture.graph.planOf(500, 20)).toBe("compare");
  const allowed = bitmapOf(fixture.slots, may);
  expectSame(await fixture.search(query, { k: 10, ef: 20, allowed }), fixture.expected(query, 10, may));
});

test("where only far vectors match, though many do, hardly any is missed", async () => {
  const fixture = await filled(random, { metric: "L2", M: 8, efConstruction: 64 }, 4_000);
  expect(fixture.graph.planOf(2_000, 10)).toBe("walk");
  let found = 0;
  for (let i = 0; i < QUERIES; i++) {
    const query = randomVector(random, 16);
    const farthest = fixture.expected(query, 4_000).slice(2_000);
    const far = new Set(farthest.map(({ slot }) => slot));
    const may = (slot: number) => far.has(slot);
    const hits = await fixture.search(query, { k: 10, ef: 10, allowed: bitmapOf(fixture.slots, may) });
    found += recall(hits, fixture.expected(query, 10, may));
  }
  // They are compared, but for one in hundreds around which some matches are.
  expect(found / QUERIES).toBeGreaterThan(0.99);
});

test("a comparison that threads share misses none, and none that died is found", async () => {
  // More than search.cc's splitBytes.
  const fixture = await filled(random, { metric: "L2", dimensions: 1_024, M: 4, efConstruction: 16 }, 1_500);
  const matches = (slot: number) => slot % 5 !== 0;
  expect(fixture.graph.planOf(1_200, 100)).toBe("compare");
  const allowed = bitmapOf(fixture.slots, matches);
  for (let i = 0; i < 20; i++) {
    const query = randomVector(random, 1_024);
    const [nearest] = fixture.expected(query, 1, matches);
    fixture.kill(nearest!.slot);
    const found = await fixture.search(query, { k: 10, ef: 100, allowed });
    expectSame(found, fixture.expected(query, 10, matches));
  }
});

test("a walk through what does not match finds what one without a filter would", async () => {
  const fixture = await filled(random, { M: 8, efConstruction: 64 }, 5_000);
  const all = await meanRecall(fixture, () => true, { k: 10, ef: 12 });
  for (const every of [2, 3]) {
    expect(fixture.graph.planOf(Math.ceil(5_000 / every), 12)).toBe("walk");
    const found = await meanRecall(fixture, (slot) => slot % every === 0, { k: 10, ef: 12 });
    expect(found).toBeGreaterThan(all - 0.02);
  }
});

test("a walk on the rim of matches that lie on the query's side finds what one without a filter would", async () => {
  const fixture = await filled(random, { metric: "L2", M: 8, efConstruction: 64 }, 4_000);
  expect(fixture.graph.planOf(2_000, 12)).toBe("walk");
  let [found, all] = [0, 0];
  for (let i = 0; i < QUERIES; i++) {
    const query = randomVector(random, 16);
    const [offset, factor] = [randomVector(random, 16), 2 * random()];
    const anchor = query.map((component, at) => component + factor * offset[at]!);
    const near = new Set(fixture.expected(anchor, 2_000).map(({ slot }) => slot));
    const may = (slot: number) => near.has(slot);
    const options = { k: 10, ef: 12 };
    const hits = await fixture.search(query, { ...options, allowed: bitmapOf(fixture.slots, may) });
    found += recall(hits, fixture.expected(query, 10, may));
    all += recall(await fixture.search(query, options), fixture.expected(query, 10));
  }
  expect(found / QUERIES).toBeGreaterThan(all / QUERIES - 0.08);
});

test("a walk from match to match finds them, two hops apart", async () => {
  const fixture = await filled(random, { dimensions: 8, M: 8, efConstruction: 32 }, 28_000);
  const may = (slot: number) => slot % 20 === 7;
  expect(fixture.graph.planOf(1_400, 5)).toBe("hop");
  const all = await meanRecall(fixture, () => true, { k: 5, ef: 5 });
  expect(await meanRecall(fixture, may, { k: 5, ef: 5 })).toBeGreaterThan(Math.min(all, 0.9) - 0.1);
});
