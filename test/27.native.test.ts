/** The native graph by itself: kernels, recall, snapshots, files, threads, and what it does with nonsense. */
import * as fs from "node:fs";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { distanceTo } from "../src/engine/distance.ts";
import {
  type GraphOptions,
  type GraphSearchOptions,
  loadAddon,
  NativeGraph,
} from "../src/engine/index/native-addon.ts";
import { mapFile, releaseMappings } from "../src/engine/mapping.ts";
import type { Quantization } from "../src/engine/options.ts";
import { temporaryDirectory } from "./harness/directory.ts";
import { generator, randomVector, testSeed } from "./harness/random.ts";
import { DIMENSIONS, loadWords } from "./harness/words.ts";

const QUANTIZATIONS: readonly Quantization[] = ["INT8", "F16", "F32"];
const METRICS = ["COSINE", "L2", "IP"] as const;

const seed = testSeed();
const random = generator(seed);

interface Found {
  readonly slot: number;
  readonly distance: number;
}

/** A graph and the rows it works on, with room for `capacity` slots in segments of `segmentRows`. */
class Fixture {
  readonly graph: NativeGraph;
  readonly rows: Float32Array;
  readonly alive = new Set<number>();
  slots = 0;
  watermark = 0;

  constructor(options: Partial<GraphOptions>, capacity: number, graph?: NativeGraph) {
    this.graph = graph ?? new NativeGraph(complete(options));
    const { dimensions } = this.graph.options;
    this.rows = new Float32Array(capacity * dimensions);
    const half = capacity >> 1;
    this.graph.addSegment(0, this.rows.subarray(0, half * dimensions));
    this.graph.addSegment(half, this.rows.subarray(half * dimensions));
  }

  insert(vector: Float32Array): void {
    this.rows.set(vector, this.slots * vector.length);
    this.graph.setLive(this.slots);
    this.alive.add(this.slots++);
  }

  kill(slot: number): void {
    this.graph.kill(slot);
    this.alive.delete(slot);
  }

  async index(): Promise<void> {
    const to = this.slots;
    await this.graph.add(this.watermark, to);
    this.watermark = to;
  }

  async search(query: Float32Array, options: Partial<GraphSearchOptions> = {}): Promise<Found[]> {
    const { slots, watermark } = this;
    const k = options.k ?? 10;
    const found = await this.graph.search(query, { k, ef: 64, slots, watermark, ...options });
    return Array.from({ length: found.counts[0]! }, (_, i) => ({
      slot: found.slots[i]!,
      distance: found.distances[i]!,
    }));
  }

  /** What an exact search has to find now, by the engine's own distances. */
  expected(query: Float32Array, k: number, may: (slot: number) => boolean = () => true): Found[] {
    const distance = distanceTo(query, this.graph.options.metric);
    return [...this.alive]
      .filter(may)
      .map((slot) => ({ slot, distance: distance(this.rows, slot * query.length) }))
      .sort((a, b) => a.distance - b.distance || a.slot - b.slot)
      .slice(0, k);
  }
}

function complete(options: Partial<GraphOptions>): GraphOptions {
  return { dimensions: 16, metric: "COSINE", M: 16, efConstruction: 200, quantization: "INT8", ...options };
}

/** Rounding differs between the two, so equal distances may swap: slots are compared through their distances. */
function expectSame(found: readonly Found[], expected: readonly Found[]): void {
  expect(found.length).toBe(expected.length);
  for (const [i, { distance }] of expected.entries()) expect(found[i]!.distance).toBeCloseTo(distance, 6);
  expect(new Set(found.map(({ slot }) => slot)).size).toBe(found.length);
}

function recall(found: readonly Found[], expected: readonly Found[]): number {
  const slots = new Set(found.map(({ slot }) => slot));
  return expected.filter(({ slot }) => slots.has(slot)).length / expected.length;
}

async function filled(options: Partial<GraphOptions>, count: number): Promise<Fixture> {
  const fixture = new Fixture(options, count * 2);
  for (let i = 0; i < count; i++) fixture.insert(randomVector(random, fixture.graph.options.dimensions));
  await fixture.index();
  return fixture;
}

describe("kernels", () => {
  const addon = loadAddon();
  const names = addon.kernelNames();

  test("plain C++ computes what they are named after", () => {
    const [a, b] = [randomVector(random, 37), randomVector(random, 37)];
    const sum = (of: (x: number, y: number) => number) => a.reduce((total, x, i) => total + of(x, b[i]!), 0);
    const int8 = (x: number) => Math.trunc(Math.fround(x * 127));
    const results = addon.runKernels(0, a, b);
    expect(results[0]).toBe(sum((x, y) => int8(x) * int8(y)));
    expect(results[1]).toBeCloseTo(
      sum((x, y) => x * y),
      1, // a half has 11 bits
    );
    expect(results[2]).toBeCloseTo(
      sum((x, y) => (x - y) ** 2),
      1,
    );
    expect(results[3]).toBeCloseTo(
      sum((x, y) => x * y),
      5,
    );
    expect(results[4]).toBeCloseTo(
      sum((x, y) => (x - y) ** 2),
      5,
    );
    for (const [at, digits] of [
      [5, 5], // in float32
      [7, 12],
    ] as const) {
      expect(results[at]).toBeCloseTo(
        sum((x, y) => x * y),
        digits,
      );
      expect(results[at + 1]).toBeCloseTo(
        sum((_, y) => y * y),
        digits,
      );
    }
    expect(results[9]).toBeCloseTo(
      sum((x, y) => (x - y) ** 2),
      12,
    );
  });

  test.each(names.slice(1))("%s agrees with plain C++ at every length", (name) => {
    const lengths = [...Array.from({ length: 140 }, (_, i) => i + 1), 768, 784, 1536, 16_384];
    for (const length of lengths) {
      const [a, b] = [randomVector(random, length), randomVector(random, length)];
      a[0] = -1;
      b[length - 1] = 1;
      const [plain, fast] = [addon.runKernels(0, a, b), addon.runKernels(names.indexOf(name), a, b)];
      expect(fast[0], `int8 of ${length}`).toBe(plain[0]);
      for (let i = 1; i < plain.length; i++) {
        const tolerance = (i < 7 ? 1e-5 : 1e-13) * length;
        expect(Math.abs(fast[i]! - plain[i]!), `kernel ${i} of ${length}`).toBeLessThanOrEqual(tolerance);
      }
    }
  });

  test("halves are the nearest there are", () => {
    const one = Float32Array.of(1);
    for (let i = 0; i < 10_000; i++) {
      const x = Math.fround((random() * 2 - 1) * 2 ** -Math.floor(random() * 26));
      const [half] = [addon.runKernels(0, Float32Array.of(x), one)[1]!];
      const spacing = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(x)))) - 10);
      expect(Math.abs(half - x)).toBeLessThanOrEqual(spacing / 2);
      for (const index of names.keys()) {
        expect(addon.runKernels(index, Float32Array.of(x), one)[1]).toBe(half);
      }
    }
  });
});

describe("recall@10 on real word vectors", () => {
  const { base, queries, vector } = loadWords();

  test.each(QUANTIZATIONS)("%s: 0.98 at ef 64, 0.995 at ef 200", async (quantization) => {
    const fixture = new Fixture({ dimensions: DIMENSIONS, quantization }, base.length);
    for (const row of base) fixture.insert(vector(row));
    await fixture.index();
    for (const [ef, bar] of [
      [64, 0.98],
      [200, 0.995],
    ] as const) {
      let sum = 0;
      for (const row of queries) {
        const expected = await fixture.search(vector(row), { exact: true });
        sum += recall(await fixture.search(vector(row), { ef }), expected);
      }
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
    const fixture = await filled({}, 500);
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

  test("equal distances come in the order of their slots", async () => {
    const fixture = new Fixture({}, 100);
    for (let i = 0; i < 40; i++) fixture.insert(new Float32Array(16).fill(1));
    await fixture.index();
    for (let i = 0; i < 10; i++) fixture.insert(new Float32Array(16).fill(1));
    const found = await fixture.search(randomVector(random, 16), { k: 50 });
    expect(found.map(({ slot }) => slot)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  test("many queries are answered as each by itself", async () => {
    const fixture = await filled({}, 1000);
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
    const fixture = await filled({}, 2000);
    for (let slot = 0; slot < 2000; slot++) if (slot % 100 !== 7) fixture.kill(slot);
    const query = randomVector(random, 16);
    expectSame(await fixture.search(query, { k: 20 }), fixture.expected(query, 20));
    expectSame(await fixture.search(query, { k: 30 }), fixture.expected(query, 20));
    expect(fixture.graph.length).toBe(2000);
    expect(fixture.graph.live).toBe(20);
  });

  test("nobody farther than 'within' is found, and whoever is as far as it is", async () => {
    const fixture = await filled({}, 500);
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
    const fixture = await filled({}, 1000);
    for (let i = 0; i < 100; i++) fixture.insert(randomVector(random, 16));
    for (let round = 0; round < 50; round++) {
      const query = randomVector(random, 16);
      const before = await fixture.search(query, { exact });
      const asked = fixture.search(query, { exact });
      for (const { slot } of before.slice(0, 3)) fixture.kill(slot);
      fixture.insert(query);
      expect(await asked).toEqual(before);
      const after = await fixture.search(query, { exact });
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
    const fixture = await filled({ M: 8, efConstruction: 64 }, 4000);
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
    const fixture = await filled({}, 100);
    const allowed = Uint8Array.of(0b1010, 0xff);
    const asked = fixture.search(randomVector(random, 16), { allowed, k: 50 });
    allowed.fill(0);
    const slots = (await asked).map(({ slot }) => slot).sort((a, b) => a - b);
    expect(slots).toEqual([1, 3, 8, 9, 10, 11, 12, 13, 14, 15]);
    expect(await fixture.search(randomVector(random, 16), { allowed: new Uint8Array() })).toEqual([]);
  });
});

describe("files", () => {
  /** The rows and lives of a fixture for a graph that was loaded. */
  async function reload(from: Fixture, path: string): Promise<Fixture> {
    const to = new Fixture({}, from.rows.length / 16, await NativeGraph.load(path, from.graph.options));
    to.rows.set(from.rows);
    for (const slot of from.alive) {
      to.graph.setLive(slot);
      to.alive.add(slot);
    }
    to.slots = from.slots;
    to.watermark = from.watermark;
    return to;
  }

  test.each(QUANTIZATIONS)("a saved graph of %s answers like the one it was", async (quantization) => {
    const path = `${temporaryDirectory()}/graph`;
    const fixture = await filled({ quantization, M: 4 }, 1500);
    for (let i = 0; i < 300; i++) fixture.kill(Math.floor(random() * 1500));
    await fixture.graph.save(path);
    const loaded = await reload(fixture, path);
    expect(loaded.graph.length).toBe(fixture.graph.length);
    expect(loaded.graph.live).toBe(fixture.graph.live);
    for (let i = 0; i < 50; i++) {
      const query = randomVector(random, 16);
      expect(await loaded.search(query)).toEqual(await fixture.search(query));
    }
    for (let i = 0; i < 200; i++) loaded.insert(randomVector(random, 16));
    await loaded.index();
    const query = randomVector(random, 16);
    expect(recall(await loaded.search(query, { ef: 200 }), loaded.expected(query, 10))).toBeGreaterThan(0.7);
  });

  test("an empty graph can be saved", async () => {
    const path = `${temporaryDirectory()}/graph`;
    const fixture = new Fixture({}, 10);
    await fixture.graph.save(path);
    expect((await NativeGraph.load(path, fixture.graph.options)).length).toBe(0);
  });

  test("every file that was cut off or has a flipped bit is refused", async () => {
    const path = `${temporaryDirectory()}/graph`;
    const fixture = await filled({ dimensions: 2, M: 4, efConstruction: 8 }, 40);
    await fixture.graph.save(path);
    const whole = fs.readFileSync(path);
    const damaged = `${path}-damaged`;
    const refused = async (bytes: Uint8Array) => {
      fs.writeFileSync(damaged, bytes);
      await expect(NativeGraph.load(damaged, fixture.graph.options)).rejects.toThrow(damaged);
    };
    for (let length = 0; length < whole.length; length++) await refused(whole.subarray(0, length));
    for (let i = 0; i < whole.length; i++) {
      const flipped = Buffer.from(whole);
      flipped[i]! ^= 1 << (i % 8);
      await refused(flipped);
    }
    await refused(Buffer.concat([whole, Buffer.alloc(1)]));
  });

  test("a graph of other options is refused, and so is a file that cannot be read", async () => {
    const directory = temporaryDirectory();
    const path = `${directory}/graph`;
    const fixture = await filled({}, 10);
    await fixture.graph.save(path);
    const { options } = fixture.graph;
    for (const other of [{ dimensions: 17 }, { metric: "L2" }, { M: 15 }, { quantization: "F16" }] as const) {
      await expect(NativeGraph.load(path, { ...options, ...other })).rejects.toThrow("other options");
    }
    await expect(NativeGraph.load(`${directory}/missing`, options)).rejects.toThrow("No such file");
    await expect(NativeGraph.load(directory, options)).rejects.toThrow();
  });

  test("a full disk rejects the promise", async () => {
    const fixture = await filled({}, 10);
    await expect(fixture.graph.save("/dev/full")).rejects.toThrow("No space left on device");
    await expect(fixture.graph.save(`${temporaryDirectory()}/no/such`)).rejects.toThrow("No such file");
    expect(fixture.graph.length).toBe(10);
  });

  test("searches and deaths go on while it is saved; additions wait their turn", async () => {
    const path = `${temporaryDirectory()}/graph`;
    const fixture = await filled({}, 3000);
    const saved = fixture.graph.save(path);
    await expect(fixture.graph.add(0, 10)).rejects.toThrow("saved");
    for (let i = 0; i < 100; i++) fixture.kill(i);
    const found = await fixture.search(randomVector(random, 16));
    expect(found.every(({ slot }) => slot >= 100)).toBe(true);
    await saved;
    expect((await reload(fixture, path)).graph.live).toBe(2900);
  });
});

describe("threads", () => {
  test("additions, searches and deaths at once", async () => {
    const fixture = new Fixture({ efConstruction: 40 }, 6000);
    let indexing = Promise.resolve();
    const searches: Promise<void>[] = [];
    for (let step = 0; step < 30; step++) {
      for (let i = 0; i < 200; i++) fixture.insert(randomVector(random, 16));
      await indexing;
      indexing = fixture.index();
      for (let i = 0; i < 50; i++) {
        const alive = new Set(fixture.alive);
        searches.push(
          fixture.search(randomVector(random, 16)).then((found) => {
            expect(found.length).toBe(10);
            expect(found.every(({ slot }) => alive.has(slot))).toBe(true);
          }),
        );
        fixture.kill(Math.floor(random() * fixture.slots));
      }
    }
    await indexing;
    await Promise.all(searches);
    const query = randomVector(random, 16);
    expect(recall(await fixture.search(query, { ef: 400 }), fixture.expected(query, 10))).toBeGreaterThan(
      0.8,
    );
  });

  test("rows stay mapped as long as the graph or its work needs them", async () => {
    const dimensions = 32;
    const path = `${temporaryDirectory()}/rows`;
    const mappings = () => fs.readFileSync("/proc/self/maps", "utf8").split(path).length - 1;
    let graph: NativeGraph | undefined = new NativeGraph(complete({ dimensions }));
    const slots = mapRows(graph, path, dimensions);
    await collected();
    expect(mappings()).toBe(1);
    await graph.add(0, slots >> 1);
    const query = randomVector(random, dimensions);
    const searches = Array.from({ length: 50 }, () =>
      graph!.search(query, { k: 5, ef: 10, exact: true, slots, watermark: 0 }),
    );
    graph = undefined;
    await collected();
    expect((await Promise.all(searches)).every(({ counts }) => counts[0] === 5)).toBe(true);
    searches.length = 0;
    await expect.poll(() => collected().then(mappings), { timeout: 10_000 }).toBe(0);
  });

  test("close lets go of everything, and rejects what is under way", async () => {
    const path = `${temporaryDirectory()}/rows`;
    const mappings = () => fs.readFileSync("/proc/self/maps", "utf8").split(path).length - 1;
    const graph = new NativeGraph(complete({ dimensions: 32 }));
    const slots = mapRows(graph, path, 32);
    const added = graph.add(0, slots);
    const searched = graph.search(randomVector(random, 32), {
      k: 5,
      ef: 10,
      exact: true,
      slots,
      watermark: 0,
    });
    graph.close();
    graph.close();
    const ends = await Promise.allSettled([added, searched]);
    for (const end of ends) expect(String((end as PromiseRejectedResult).reason)).toContain("closed");
    expect(() => graph.length).toThrow("closed");
    expect(() => graph.setLive(1)).toThrow("closed");
    await expect(graph.add(0, 1)).rejects.toThrow("closed");
    await expect.poll(() => collected().then(mappings), { timeout: 10_000 }).toBe(0);
  });

  test("a worker may end with work under way", async () => {
    const directory = temporaryDirectory();
    for (let round = 0; round < 6; round++) {
      const worker = new Worker(WORKER, {
        eval: true,
        workerData: { path: `${directory}/worker-${round}`, seed: seed + round },
      });
      await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
      await new Promise((resolve) => setTimeout(resolve, random() * 30));
      await worker.terminate();
    }
    const fixture = await filled({}, 100);
    expect((await fixture.search(randomVector(random, 16))).length).toBe(10);
  }, 120_000);
});

/** Maps a file of rows, all of them alive, of which only the graph then knows. */
function mapRows(graph: NativeGraph, path: string, dimensions: number): number {
  const slots = 8000;
  const bytes = Buffer.from(randomVector(random, slots * dimensions).buffer);
  fs.writeFileSync(path, bytes);
  const descriptor = fs.openSync(path, "r+");
  const mapped = mapFile(descriptor, bytes.length);
  fs.closeSync(descriptor);
  graph.addSegment(0, new Float32Array(mapped.buffer, mapped.byteOffset, slots * dimensions));
  for (let slot = 0; slot < slots; slot++) graph.setLive(slot);
  return slots;
}

/** What nobody refers to is gone, also what goes in a second step. */
async function collected(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    releaseMappings();
  }
}

/** Builds, searches and saves on mapped rows until it is ended. */
const WORKER = `
  const { parentPort, workerData: { path, seed } } = require("node:worker_threads");
  const fs = require("node:fs");
  (async () => {
    (await import("${import.meta.resolve("tsx/esm/api")}")).register();
    const { NativeGraph } = await import("${new URL("../src/engine/index/native-addon.ts", import.meta.url)}");
    const { mapFile } = await import("${new URL("../src/engine/mapping.ts", import.meta.url)}");
    const { generator, randomVector } = await import("${new URL("harness/random.ts", import.meta.url)}");
    const slots = 4000, dimensions = 64;
    const graph = new NativeGraph({ dimensions, metric: "COSINE", M: 16, efConstruction: 200, quantization: "INT8" });
    fs.writeFileSync(path, Buffer.from(randomVector(generator(seed), slots * dimensions).buffer));
    const descriptor = fs.openSync(path, "r+");
    const mapped = mapFile(descriptor, slots * dimensions * 4);
    const rows = new Float32Array(mapped.buffer, mapped.byteOffset, slots * dimensions);
    graph.addSegment(0, rows);
    for (let slot = 0; slot < slots; slot++) graph.setLive(slot);
    await graph.add(0, 500);
    parentPort.postMessage("ready");
    graph.save(path + ".graph").then(() => graph.add(500, slots));
    for (;;) {
      const queries = rows.subarray(0, 100 * dimensions);
      await graph.search(queries, { k: 10, ef: 100, exact: true, slots, watermark: 0 });
    }
  })();
`;

describe("nonsense is refused with the name of the argument", () => {
  const options = complete({});

  test.each([
    ["dimensions", { dimensions: 0 }],
    ["dimensions", { dimensions: 16_385 }],
    ["dimensions", { dimensions: 1.5 }],
    ["M", { M: 3 }],
    ["M", { M: Number.NaN }],
    ["efConstruction", { efConstruction: 1e9 }],
    ["metric", { metric: "toString" as "L2" }],
    ["metric", { metric: 1 as unknown as "L2" }],
    ["quantization", { quantization: "F64" as "F32" }],
  ])("options: %s", (name, wrong) => {
    expect(() => new NativeGraph({ ...options, ...wrong })).toThrow(`'${name}'`);
  });

  test("segments", () => {
    const graph = new NativeGraph(options);
    const rows = new Float32Array(32);
    expect(() => graph.addSegment(1, rows)).toThrow("'firstSlot'");
    expect(() => graph.addSegment(0, new Float32Array(17))).toThrow("'rows'");
    expect(() => graph.addSegment(0, new Float32Array(0))).toThrow("'rows'");
    expect(() => graph.addSegment(0, [1] as unknown as Float32Array)).toThrow("'rows'");
    expect(() => graph.addSegment(0, new Float32Array(new SharedArrayBuffer(64)))).toThrow("'rows'");
    const resizable = new (ArrayBuffer as unknown as new (n: number, o: object) => ArrayBuffer)(64, {
      maxByteLength: 128,
    });
    expect(() => graph.addSegment(0, new Float32Array(resizable))).toThrow("'rows'");
    graph.addSegment(0, rows);
    expect(() => graph.addSegment(0, rows)).toThrow("'firstSlot'");
    structuredClone(rows, { transfer: [rows.buffer] });
    expect(rows.length, "transferred").toBe(32);
  });

  test("slots", async () => {
    const graph = new NativeGraph(options);
    graph.addSegment(0, randomVector(random, 160));
    for (const slot of [-1, 0.5, 2 ** 32, Number.NaN, "1" as unknown as number]) {
      expect(() => graph.setLive(slot)).toThrow("'slot'");
      expect(() => graph.kill(slot)).toThrow("'slot'");
    }
    graph.kill(9);
    graph.kill(1_000_000);
    await expect(graph.add(0, 11)).rejects.toThrow("'to'");
    await expect(graph.add(6, 5)).rejects.toThrow("'from'");
    await graph.add(0, 10);
    expect(graph.length).toBe(0);
  });

  test("searches", async () => {
    const fixture = await filled({}, 10);
    const query = randomVector(random, 16);
    const wrong = async (name: string, asked: Record<string, unknown>, vectors = query) =>
      expect(fixture.search(vectors, asked as Partial<GraphSearchOptions>)).rejects.toThrow(`'${name}'`);
    await wrong("k", { k: 0 });
    await wrong("k", { k: 10_001 });
    await wrong("ef", { ef: 0 });
    await wrong("exact", { exact: 1 });
    await wrong("within", { within: Number.NaN });
    await wrong("slots", { slots: 21 });
    await wrong("watermark", { watermark: 11 });
    await wrong("allowed", { allowed: [1] });
    await wrong("queries", {}, new Float32Array(15));
    await wrong("queries", {}, new Float32Array(0));
    await wrong("queries", {}, [1] as unknown as Float32Array);
    expect((await fixture.search(query, { k: 10_000, ef: 10_000, slots: 20, watermark: 0 })).length).toBe(10);
  });

  test("numbers that are none do no harm", async () => {
    const fixture = await filled({}, 200);
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 0, 3e38]) {
      const query = new Float32Array(16).fill(value);
      expect((await fixture.search(query, { within: 2 })).length).toBeLessThanOrEqual(10);
      fixture.insert(query);
      await fixture.index();
    }
    const query = randomVector(random, 16);
    fixture.alive.clear();
    expect((await fixture.search(query)).length).toBe(10);
  });

  test("paths", async () => {
    const graph = new NativeGraph(options);
    await expect(graph.save("")).rejects.toThrow("'path'");
    await expect(graph.save("a\0b")).rejects.toThrow("'path'");
    await expect(NativeGraph.load(1 as unknown as string, options)).rejects.toThrow("'path'");
  });
});
