/** The native graph among threads, with memory that comes and goes, and given nonsense. */
import * as fs from "node:fs";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { collectGarbage, mapFile, releaseMappings } from "../../src/engine/disk/mapping.ts";
import { type GraphSearchOptions, NativeGraph } from "../../src/engine/index/native-addon.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { complete, Fixture, filled, recall } from "../harness/native-graph.ts";
import { until } from "../harness/serving.ts";

const seed = testSeed();
const random = generator(seed);

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

  test("a file that is long mapped is unmapped soon once nothing refers to it, though nothing else happens", async () => {
    const path = `${temporaryDirectory()}/rows`;
    const mappings = () => fs.readFileSync("/proc/self/maps", "utf8").split(path).length - 1;
    const graph = new NativeGraph(complete({ dimensions: 32 }));
    mapRows(graph, path, 32);
    await collected(); // it is among the old objects now
    expect(mappings()).toBe(1);
    graph.close();
    releaseMappings();
    await until(mappings, (count) => count === 0);
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
    const fixture = await filled(random, {}, 100);
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

/** What nothing refers to is gone, also what goes in a second step. */
async function collected(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
}

/** Builds, searches and saves on mapped rows until it is ended. */
const WORKER = `
  const { parentPort, workerData: { path, seed } } = require("node:worker_threads");
  const fs = require("node:fs");
  (async () => {
    (await import("${import.meta.resolve("tsx/esm/api")}")).register();
    const { NativeGraph } = await import("${new URL("../../src/engine/index/native-addon.ts", import.meta.url)}");
    const { mapFile } = await import("${new URL("../../src/engine/disk/mapping.ts", import.meta.url)}");
    const { generator, randomVector } = await import("${new URL("../../harness/random.ts", import.meta.url)}");
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
    const fixture = await filled(random, {}, 10);
    const query = randomVector(random, 16);
    const wrong = async (name: string, asked: Record<string, unknown>, vectors = query) =>
      expect(fixture.search(vectors, asked as Partial<GraphSearchOptions>)).rejects.toThrow(`'${name}'`);
    await wrong("k", { k: 0 });
    await wrong("k", { k: 10_001 });
    await wrong("ef", { ef: 0 });
    await wrong("exact", { exact: 1 });
    await wrong("together", { together: 1 });
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
    const fixture = await filled(random, {}, 200);
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
