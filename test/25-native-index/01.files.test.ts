/** The native graph saved and loaded, and files that are not what was saved. */
import * as fs from "node:fs";
import { describe, expect, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { NativeGraph } from "../../src/engine/index/native-addon.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { Fixture, filled, QUANTIZATIONS, recall } from "../harness/native-graph.ts";

const random = generator(testSeed());

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
    const fixture = await filled(random, { quantization, M: 4 }, 1500);
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
    const fixture = await filled(random, { dimensions: 2, M: 4, efConstruction: 8 }, 40);
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
    const fixture = await filled(random, {}, 10);
    await fixture.graph.save(path);
    const { options } = fixture.graph;
    for (const other of [{ dimensions: 17 }, { metric: "L2" }, { M: 15 }, { quantization: "F16" }] as const) {
      await expect(NativeGraph.load(path, { ...options, ...other })).rejects.toThrow("other options");
    }
    await expect(NativeGraph.load(`${directory}/missing`, options)).rejects.toThrow("No such file");
    await expect(NativeGraph.load(directory, options)).rejects.toThrow();
  });

  test("a full disk rejects the promise", async () => {
    const fixture = await filled(random, {}, 10);
    await expect(fixture.graph.save("/dev/full")).rejects.toThrow("No space left on device");
    await expect(fixture.graph.save(`${temporaryDirectory()}/no/such`)).rejects.toThrow("No such file");
    expect(fixture.graph.length).toBe(10);
  });

  test("searches and deaths go on while it is saved; additions wait their turn", async () => {
    const path = `${temporaryDirectory()}/graph`;
    const fixture = await filled(random, {}, 3000);
    const saved = fixture.graph.save(path);
    await expect(fixture.graph.add(0, 10)).rejects.toThrow("saved");
    for (let i = 0; i < 100; i++) fixture.kill(i);
    const found = await fixture.search(randomVector(random, 16));
    expect(found.every(({ slot }) => slot >= 100)).toBe(true);
    await saved;
    expect((await reload(fixture, path)).graph.live).toBe(2900);
  });
});
