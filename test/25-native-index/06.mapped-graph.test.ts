/** A graph of several chunks in its file: searched before it is read, damaged, grown, and put back into the file. */
import * as fs from "node:fs";
import * as os from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { NativeGraph } from "../../src/engine/index/native-addon.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { Fixture, filled, recall } from "../harness/native-graph.ts";

const random = generator(testSeed());
/** Nodes of a chunk, as native/graph/nodes.h has it. */
const CHUNK = 16_384;
const SLOTS = 2 * CHUNK + 1_000;
const OPTIONS = { dimensions: 4, M: 4, efConstruction: 8 } as const;
/** What begins at 64 KiB: codes of 20 + 4 bytes in cache lines, and 3 + 2 M words of links. */
const REGIONS = { first: 1 << 16, bytes: CHUNK * (64 + 44) } as const;
const REGIONS_END = REGIONS.first + 2 * REGIONS.bytes;

const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-test-`);
const saved = `${directory}/graph`;
let built: Fixture;

beforeAll(async () => {
  built = await filled(random, OPTIONS, SLOTS);
  await built.graph.save(saved);
}, 120_000);

afterAll(() => fs.rmSync(directory, { recursive: true }));

/** With room for twice as many. */
async function loaded(path = saved, from = built): Promise<Fixture> {
  const fixture = new Fixture({}, SLOTS * 2, await NativeGraph.load(path, from.graph.options));
  fixture.rows.set(from.rows);
  for (const slot of from.alive) {
    fixture.graph.setLive(slot);
    fixture.alive.add(slot);
  }
  fixture.slots = from.slots;
  fixture.watermark = from.watermark;
  return fixture;
}

async function expectSameAnswers(a: Fixture, b: Fixture): Promise<void> {
  for (let i = 0; i < 30; i++) {
    const query = randomVector(random, OPTIONS.dimensions);
    expect(await a.search(query)).toEqual(await b.search(query));
  }
}

async function expectFinds(fixture: Fixture): Promise<void> {
  let sum = 0;
  for (let i = 0; i < 20; i++) {
    const query = randomVector(random, OPTIONS.dimensions);
    sum += recall(await fixture.search(query, { ef: 400 }), fixture.expected(query, 10));
  }
  expect(sum / 20).toBeGreaterThan(0.8);
}

describe("a mapped graph", () => {
  test("answers before it was read, and takes no memory for it", async () => {
    const fixture = await loaded();
    expect(fixture.graph.mapped.bytes).toBe(2 * REGIONS.bytes);
    expect(fixture.graph.bytes).toBeLessThan(built.graph.bytes / 2);
    await expectSameAnswers(fixture, built);
    await expect(fixture.graph.add(0, 1)).rejects.toThrow("proven");
    await expect(fixture.graph.save(`${saved}-2`)).rejects.toThrow("proven");
    expect(await fixture.graph.prove(true)).toBe(true);
    expect(fixture.graph.mapped.bytes).toBe(2 * REGIONS.bytes);
    const { resident } = fixture.graph.mapped;
    expect(resident).toBeLessThanOrEqual(2 * REGIONS.bytes);
    await expectSameAnswers(fixture, built);
  });

  test("can be taken into memory while it is searched", async () => {
    const fixture = await loaded();
    const proven = fixture.graph.prove(false);
    await expectSameAnswers(fixture, built);
    await proven;
    expect(fixture.graph.mapped.bytes).toBe(0);
    expect(fixture.graph.bytes).toBe(built.graph.bytes);
    await expectSameAnswers(fixture, built);
  });

  test("grows beyond the chunks of its file, and dead vectors may return", async () => {
    const fixture = await loaded();
    await fixture.graph.prove(true);
    for (let i = 0; i < 3_000; i++) fixture.kill(Math.floor(random() * SLOTS));
    for (let i = 0; i < CHUNK; i++) {
      const from = i * OPTIONS.dimensions;
      const again = fixture.rows.slice(from, from + OPTIONS.dimensions);
      fixture.insert(i % 4 === 0 ? again : randomVector(random, OPTIONS.dimensions));
    }
    await fixture.index();
    await expectFinds(fixture);
    expect(fs.readFileSync(saved).length, "its file does not change").toBeGreaterThan(REGIONS_END);
    await expectSameAnswers(await loaded(), built);
  });

  test("goes into each new file, and answers as before", async () => {
    const path = `${temporaryDirectory()}/graph`;
    const fixture = await loaded();
    await fixture.graph.prove(false);
    for (const round of [1, 2, 3]) {
      for (let i = 0; i < 2_000; i++) fixture.insert(randomVector(random, OPTIONS.dimensions));
      await fixture.index();
      const query = randomVector(random, OPTIONS.dimensions);
      const before = await fixture.search(query);
      const searches = Array.from({ length: 200 }, () => fixture.search(query));
      await fixture.graph.save(`${path}-${round}`, true);
      for (const found of await Promise.all(searches)) expect(found).toEqual(before);
      fs.rmSync(`${path}-${round - 1}`, { force: true });
      const chunks = Math.floor(fixture.slots / CHUNK);
      expect(fixture.graph.mapped.bytes).toBe(chunks * REGIONS.bytes);
    }
    const again = await loaded(`${path}-3`, fixture);
    await expectSameAnswers(again, fixture);
    await again.graph.prove(true);
    await expectFinds(again);
  });
});

describe("a damaged file", () => {
  /** Opens it with one bit flipped. */
  async function flipped(whole: Buffer, at: number): Promise<Fixture> {
    const path = `${temporaryDirectory()}/graph`;
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 1 << Math.floor(random() * 8);
    fs.writeFileSync(path, bytes);
    return loaded(path);
  }

  test("is refused at once where it is what every search needs", async () => {
    const whole = fs.readFileSync(saved);
    const places = [0, 8, 30, 59, 60, REGIONS.first - 1, REGIONS_END, whole.length - 1];
    for (let i = 0; i < 30; i++)
      places.push(REGIONS_END + Math.floor(random() * (whole.length - REGIONS_END)));
    for (const at of places) await expect(flipped(whole, at), `at ${at}`).rejects.toThrow("graph");
  });

  test("is found out elsewhere, and until then no answer has a wrong distance or a vector twice", async () => {
    const whole = fs.readFileSync(saved);
    for (let i = 0; i < 12; i++) {
      const at = REGIONS.first + Math.floor(random() * 2 * REGIONS.bytes);
      const fixture = await flipped(whole, at);
      await expect(fixture.graph.prove(i % 2 === 0), `at ${at}`).rejects.toThrow("checksum");
    }
  });

  test("may hold anything in its links", async () => {
    const path = `${temporaryDirectory()}/graph`;
    const bytes = fs.readFileSync(saved);
    const links = REGIONS.first + CHUNK * 64;
    for (let at = links; at < REGIONS.first + REGIONS.bytes; at += 4) {
      const end = [2 ** 32, SLOTS, 0, 0][Math.floor(random() * 4)]!;
      if (end > 0) bytes.writeUInt32LE(Math.floor(random() * end), at);
    }
    fs.writeFileSync(path, bytes);
    const fixture = await loaded(path);
    for (let i = 0; i < 100; i++) {
      const query = randomVector(random, OPTIONS.dimensions);
      const allowed = i % 2 === 0 ? undefined : new Uint8Array(SLOTS >> 3).fill(i);
      const found = await fixture.search(query, { allowed });
      const slots = found.map(({ slot }) => slot);
      expect(new Set(slots).size).toBe(slots.length);
      for (const { slot } of found) expect(slot).toBeLessThan(SLOTS);
    }
    await expect(fixture.graph.prove(false)).rejects.toThrow("checksum");
  });
});
