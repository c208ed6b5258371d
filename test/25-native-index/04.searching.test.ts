/** What the native graph finds: recall, beside a model, as of a moment, among allowed slots. */
import { describe, expect, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { DIMENSIONS, loadWords } from "../../harness/words.ts";
import { expectSame, Fixture, filled, QUANTIZATIONS, recall } from "../harness/native-graph.ts";

type Found = Awaited<ReturnType<Fixture["search"]>>;

const METRICS = ["COSINE", "L2", "IP"] as const;

const random = generator(testSeed());

describe("recall@10 on real word vectors", () => {
  const { base, queries, vector } = loadWords();

  test.each(QUANTIZATIONS)("%s: 0.98 at ef 64, 0.995 at ef 200", async (quantization) => {
    const fixture = new Fixture({ dimensions: DIMENSIONS, quantization }, base.length);
    for (const row of base) fixture.insert(vector(row));
    await fixture.index();
    const expected = new Map<number, Found>();
    for (const row of queries) expected.set(row, await fixture.search(vector(row), { exact: true }));
    for (const [ef, bar] of [
      [64, 0.98],
      [200, 0.995],
    ] as const) {
      let sum = 0;
      for (const row of queries) sum += recall(await fixture.search(vector(row), { ef }), expected.get(row)!);
      console.log(`${quantization} ef ${ef}: ${sum / queries.length}`);
      expect(sum / queries.length).toBeGreaterThanOrEqual(bar);
    }
    fixture.graph.close();
  });
});

describe("search", () => {
  for (const metric of METRICS) {
    for (const quantization of QUANTIZATIONS) {
      test(`${metric} over ${quantization} answers as a model does while slots are born, indexed and die`, async () => {
        const fixture = new Fixture({ metric, quantization, M: 8, efConstruction: 64 }, 3000);
        const hits: number[] = [];
        while (fixture.slots < 3000) {
          for (let i = 0; i < 150; i++) fixture.insert(randomVector(random, 16));
          if (random() < 0.7) await fixture.index();
          for (let i = 0; i < 60; i++) fixture.kill(Math.floor(random() * fixture.slots));
          const query = randomVector(random, 16);
          const k = 1 + Math.floor(random() * 30);
          expectSame(await fixture.search(query, { k, exact: true }), fixture.expected(query, k));
          const found = await fixture.search(query, { k });
          const expected = fixture.expected(query, k);
          expect(found.length).toBe(expected.length);
          expect(found.every(({ slot }) => fixture.alive.has(slot))).toBe(true);
          hits.push(recall(found, expected));
        }
        expect(hits.reduce((sum, hit) => sum + hit) / hits.length).toBeGreaterThan(0.95);
        fixture.graph.close();
      });
    }
  }

  test("distances are the same to the last bit by graph, tail and EXACT", async () => {
    const fixture = await filled(random, {}, 500);
    for (let i = 0; i < 200; i++) fixture.insert(randomVector(random, 16));
    const query = randomVector(random, 16);
    const exact = new Map(
      (await fixture.search(query, { exact: true, k: 700 })).map((found) => [found.slot, found.distance]),
    );
    const found = await fixture.search(query, { k: 100, ef: 300 });
    expect(found.length).toBe(100);
    expect(found.some(({ slot }) => slot < fixture.watermark)).toBe(true);
    expect(found.some(({ slot }) => slot >= fixture.watermark)).toBe(true);
    for (const { slot, distance } of found) expect(distance).toBe(exact.get(slot));
  });

  test("many batches at once, each left to other threads or not, find what each query finds alone", async () => {
    const fixture = await filled(random, {}, 2_000);
    for (let i = 0; i < 100; i++) fixture.insert(randomVector(random, 16));
    const { slots, watermark } = fixture;
    const asked = Array.from({ length: 40 }, () => {
      const queries = Array.from({ length: 1 + Math.floor(random() * 16) }, () => randomVector(random, 16));
      const options = { k: 10, ef: 1 + Math.floor(random() * 600), slots, watermark };
      return { queries, options, together: random() < 0.5 };
    });
    const answers = await Promise.all(
      asked.map(({ queries, options, together }) => {
        const all = Float32Array.from(queries.flatMap((query) => [...query]));
        return fixture.graph.search(all, { ...options, together });
      }),
    );
    for (const [at, { queries, options }] of asked.entries()) {
      for (const [i, query] of queries.entries()) {
        const alone = (await fixture.search(query, options)).map(({ slot }) => slot);
        expect([...answers[at]!.slots.subarray(i * 10, i * 10 + 10)]).toEqual(alone);
      }
    }
    fixture.graph.close();
  });

  test("equal distances come in the order of their slots", async () => {
    const fixture = new Fixture({}, 100);
    for (let i = 0; i < 40; i++) fixture.insert(new Float32Array(16).fill(1));
    await fixture.index();
    for (let i = 0; i < 10; i++) fixture.insert(new Float32Array(16).fill(1));
    const found = await fixture.search(randomVector(random, 16), { k: 50 });
    expect(found.map(({ slot }) => slot)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  test("many queries are answered as each by itself", async () => {
    const fixture = await filled(random, {}, 1000);
    const queries = randomVector(random, 16 * 50);
    const together = await fixture.graph.search(queries, { k: 5, ef: 40, slots: 1000, watermark: 900 });
    for (let i = 0; i < 50; i++) {
      const alone = await fixture.search(queries.subarray(i * 16, i * 16 + 16), {
        k: 5,
        ef: 40,
        watermark: 900,
      });
      expect([...together.slots.subarray(i * 5, i * 5 + together.counts[i]!)]).toEqual(
        alone.map(({ slot }) => slot),
      );
    }
  });

  test("nothing is found in nothing", async () => {
    const fixture = new Fixture({}, 10);
    expect(await fixture.search(randomVector(random, 16))).toEqual([]);
    await fixture.index();
    fixture.insert(randomVector(random, 16));
    fixture.kill(0);
    await fixture.index();
    expect(await fixture.search(randomVector(random, 16))).toEqual([]);
    expect(fixture.graph.length).toBe(0);
  });

  test("k are found whenever k are alive, also when nearly all have died", async () => {
    const fixture = await filled(random, {}, 2000);
    for (let slot = 0; slot < 2000; slot++) if (slot % 100 !== 7) fixture.kill(slot);
    const query = randomVector(random, 16);
    expectSame(await fixture.search(query, { k: 20 }), fixture.expected(query, 20));
    expectSame(await fixture.search(query, { k: 30 }), fixture.expected(query, 20));
    expect(fixture.graph.length).toBe(2000);
    expect(fixture.graph.live).toBe(20);
  });

  test("no vector farther than 'within' is found, and one exactly as far is", async () => {
    const fixture = await filled(random, {}, 500);
    const query = randomVector(random, 16);
    const within = fixture.expected(query, 8)[7]!.distance + 1e-9;
    expect((await fixture.search(query, { k: 50, within })).length).toBe(8);
    const [nearest] = await fixture.search(query, { k: 1 });
    expect(await fixture.search(query, { within: nearest!.distance })).toEqual([nearest]);
    expect(await fixture.search(query, { within: nearest!.distance / 2 })).toEqual([]);
  });

  test("a long tail is scanned by several threads, and whole", async () => {
    const fixture = new Fixture({ dimensions: 64, metric: "L2" }, 40_000);
    for (let i = 0; i < 40_000; i++) fixture.insert(randomVector(random, 64));
    for (const exact of [false, true]) {
      const query = randomVector(random, 64);
      expectSame(await fixture.search(query, { k: 100, exact }), fixture.expected(query, 100));
    }
  });
});

describe("a search answers as of the moment it was asked", () => {
  test.each([true, false])("exact: %s", async (exact) => {
    const fixture = await filled(random, {}, 1000);
    for (let i = 0; i < 100; i++) fixture.insert(randomVector(random, 16));
    // So many candidates that a walk misses none.
    const options = { exact, ef: 500 };
    for (let round = 0; round < 50; round++) {
      const query = randomVector(random, 16);
      const before = await fixture.search(query, options);
      const asked = fixture.search(query, options);
      for (const { slot } of before.slice(0, 3)) fixture.kill(slot);
      fixture.insert(query);
      expect(await asked).toEqual(before);
      const after = await fixture.search(query, options);
      expect(after[0]!.slot).toBe(fixture.slots - 1);
      expect(after.slice(1, 8)).toEqual(before.slice(3));
    }
  });
});

describe("only allowed slots are found", () => {
  const bitmap = (slots: number, may: (slot: number) => boolean) => {
    const allowed = new Uint8Array((slots + 7) >> 3);
    for (let slot = 0; slot < slots; slot++) if (may(slot)) allowed[slot >> 3]! |= 1 << (slot & 7);
    return allowed;
  };

  test.each([2, 20, 500, 5000])("one in %i", async (every) => {
    const fixture = await filled(random, { M: 8, efConstruction: 64 }, 4000);
    for (let i = 0; i < 200; i++) fixture.insert(randomVector(random, 16));
    for (let i = 0; i < 200; i++) fixture.kill(Math.floor(random() * fixture.slots));
    const may = (slot: number) => slot % every === 1;
    const allowed = bitmap(fixture.slots, may);
    let hits = 0;
    for (let i = 0; i < 20; i++) {
      const query = randomVector(random, 16);
      const expected = fixture.expected(query, 10, may);
      const found = await fixture.search(query, { allowed });
      expect(found.every(({ slot }) => may(slot) && fixture.alive.has(slot))).toBe(true);
      expect(found.length).toBe(expected.length);
      if (expected.length > 0) hits += recall(found, expected) / 20;
      expectSame(await fixture.search(query, { allowed, exact: true }), expected);
    }
    if (every < 5000) expect(hits).toBeGreaterThan(0.95);
  });

  test("those beyond the bitmap's end are not, and it is read when the search is asked", async () => {
    const fixture = await filled(random, {}, 100);
    const allowed = Uint8Array.of(0b1010, 0xff);
    const asked = fixture.search(randomVector(random, 16), { allowed, k: 50 });
    allowed.fill(0);
    const slots = (await asked).map(({ slot }) => slot).sort((a, b) => a - b);
    expect(slots).toEqual([1, 3, 8, 9, 10, 11, 12, 13, 14, 15]);
    expect(await fixture.search(randomVector(random, 16), { allowed: new Uint8Array() })).toEqual([]);
  });
});
