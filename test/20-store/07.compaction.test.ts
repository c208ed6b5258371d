/** Compaction against a plain Map, with writes, searches and crashes while it runs. */
import * as fs from "node:fs";
import { expect, test, vi } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { DIMENSIONS, loadWords } from "../../harness/words.ts";
import { Collection } from "../../src/engine/collection.ts";
import { LOG_HEADER, PAGE_BYTES, PAGE_CHECKSUM_BYTES, RECORD_HEADER } from "../../src/engine/disk/layout.ts";
import * as names from "../../src/engine/disk/names.ts";
import { segmentBytes, segmentCapacity } from "../../src/engine/disk/segment.ts";
import { Generation } from "../../src/engine/generation/generation.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const key = (i: number) => Buffer.from(`key ${i}`);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

async function created(dimensions: number): Promise<{ directory: string; store: Collection }> {
  const directory = temporaryDirectory();
  await createFiles(directory, "c", resolveOptions({ dimensions, metric: "L2" }), "0-0");
  return { directory, store: await Collection.open(directory, (message) => expect.fail(message), testIndex) };
}

type Model = Map<string, { vector: Float32Array; attributes: string | undefined }>;

function expectContents(store: Collection, model: Model): void {
  expect(store.length).toBe(model.size);
  const { keys } = store.scan(0, Number.MAX_SAFE_INTEGER);
  expect(keys.map(text).sort()).toEqual([...model.keys()].sort());
  for (const [name, { vector, attributes }] of model) {
    expect(store.getAttributes(Buffer.from(name))).toBe(attributes);
    if (!store.get(Buffer.from(name))!.every((x, i) => x === vector[i]))
      expect.fail(`another vector for ${name}`);
  }
}

/** One random write to both. */
function write(store: Collection, model: Model, random: () => number, keys: number): void {
  const name = `key ${Math.floor(random() * keys)}`;
  const known = model.get(name);
  const kind = random();
  if (kind < 0.5) {
    const vector = randomVector(random, store.options.dimensions);
    store.insert(Buffer.from(name), vector);
    model.set(name, { vector, attributes: known?.attributes });
  } else if (kind < 0.8) {
    expect(store.delete([Buffer.from(name)])).toBe(known ? 1 : 0);
    model.delete(name);
  } else {
    const attributes = random() < 0.2 ? "" : `{"n":${random()}}`;
    expect(store.setAttributes(Buffer.from(name), attributes)).toBe(known !== undefined);
    if (known) model.set(name, { ...known, attributes: attributes || undefined });
  }
}

test("a compaction drops the dead and keeps the living, across restarts and again", async () => {
  const { directory, store: first } = await created(64);
  let store = first;
  const random = generator(testSeed());
  const model: Model = new Map();
  for (let round = 1; round <= 3; round++) {
    for (let i = 0; i < 10_000; i++) write(store, model, random, 1_500);
    expect(store.deadShare).toBeGreaterThan(0.5);
    await store.compact();
    expect(store.deadShare).toBe(0);
    expect(store.stats()).toMatchObject({ compactions: round, slots: model.size });
    expectContents(store, model);
    await store.close();
    store = await Collection.open(directory, (message) => expect.fail(message), testIndex);
    expectContents(store, model);
  }
  expect(fs.readdirSync(directory).sort()).toEqual([names.MANIFEST_FILE, "generation-3"]);
  await store.close();
});

test("reads and writes go on while it runs, and none is lost", async () => {
  const { directory, store } = await created(32);
  const random = generator(testSeed());
  const model: Model = new Map();
  for (let i = 0; i < 12_000; i++) write(store, model, random, 4_000);
  let running = true;
  const compacting = store.compact().finally(() => {
    running = false;
  });
  let turns = 0;
  while (running) {
    // Not for ever: each write is work for the index that is about to go, too.
    if (turns < 1_000) for (let i = 0; i < 20; i++) write(store, model, random, 4_000);
    if (turns++ % 20 === 0) {
      const query = randomVector(random, 32);
      const found = await store.search(query, { k: 5, exact: true });
      for (const hit of found) expect(model.has(text(hit.key))).toBe(true);
    }
    await new Promise(setImmediate);
  }
  await compacting;
  expect(turns).toBeGreaterThan(10);
  expectContents(store, model);
  store.appliedId = "7-0";
  await store.checkpoint();
  const reopened = await Collection.open(copyOf(directory), (message) => expect.fail(message), testIndex);
  expectContents(reopened, model);
  await reopened.close();
  await store.close();
});

test("a crash at any moment leaves the old files or the new ones, and the last checkpoint's contents", async () => {
  const { directory, store } = await created(32);
  const random = generator(testSeed());
  const model: Model = new Map();
  for (let i = 0; i < 6_000; i++) write(store, model, random, 1_500);
  store.appliedId = "1-0";
  await store.checkpoint();
  let running = true;
  const compacting = store.compact().finally(() => {
    running = false;
  });
  let crashes = 0;
  let compactions = -1;
  while (running || compactions < 1) {
    const reopened = await Collection.open(copyOf(directory), () => {}, testIndex);
    expectContents(reopened, model);
    compactions = Number(reopened.stats().compactions);
    await reopened.close();
    crashes++;
  }
  await compacting;
  console.log(`${crashes} crashes`);
  expect(crashes).toBeGreaterThanOrEqual(2);
  await store.close();
});

test("a search that began before the switch ends as if there had been none", async () => {
  const { store } = await created(256);
  for (let i = 0; i < 10_000; i++)
    store.insert(key(i), new Float32Array(256).fill(i), { attributes: `{"i":${i}}` });
  for (let i = 0; i < 10_000; i += 2) store.delete([key(i)]);
  const compacting = store.compact();
  const wrong: string[] = [];
  let running = true;
  compacting.finally(() => {
    running = false;
  });
  while (running) {
    const hits = await store.search(new Float32Array(256).fill(500), {
      k: 2,
      exact: true,
      attributes: () => undefined,
    });
    const found = hits
      .map((hit) => `${text(hit.key)} ${hit.attributes}`)
      .sort()
      .join();
    if (found !== 'key 499 {"i":499},key 501 {"i":501}') wrong.push(found);
  }
  await compacting;
  expect(wrong).toEqual([]);
  await store.close();
}, 120_000);

test("what large batches bring while it runs is not copied in one turn", async () => {
  const { store } = await created(1);
  const keys = Array.from({ length: 1_000 }, (_, i) => key(i));
  const attributes = keys.map(() => Buffer.from(`{"text":"${"t".repeat(20_000)}"}`));
  const write = async () => {
    const rows = { keys, vectorOf: () => new Float32Array(1), attributes, time: 0, lifetime: {} };
    (await store.insertLargeBatch(rows))();
  };
  await write();
  await write();
  let [running, copied, most] = [true, 0, 0];
  const put = vi.spyOn(Generation.prototype, "put");
  const endOfTurn = () => {
    most = Math.max(most, put.mock.calls.length - copied);
    copied = put.mock.calls.length;
    if (running) setImmediate(endOfTurn);
  };
  endOfTurn();
  const compacting = store.compact();
  const over = compacting.finally(() => {
    running = false;
  });
  let batches = 0;
  for (; running; batches++) await write();
  await over;
  put.mockRestore();
  console.log(`${copied} copied in all, ${most} of them in one turn, beside ${batches} batches`);
  expect(store.length).toBe(keys.length);
  expect(copied).toBeGreaterThan(keys.length); // a batch came meanwhile
  expect(most).toBeLessThan(keys.length);
  await store.close();
});

test("an iteration that a compaction interrupts returns every key all the same", async () => {
  const { store } = await created(4);
  for (let i = 0; i < 2_000; i++) store.insert(key(i), new Float32Array(4).fill(i));
  for (let i = 0; i < 1_000; i++) store.delete([key(i)]);
  const seen = new Set<string>();
  let { cursor, keys } = store.scan(0, 1_500);
  for (const each of keys) seen.add(text(each));
  await store.compact();
  while (cursor !== 0) {
    ({ cursor, keys } = store.scan(cursor, 300));
    for (const each of keys) seen.add(text(each));
  }
  expect(seen).toEqual(new Set(Array.from({ length: 1_000 }, (_, i) => `key ${i + 1_000}`)));
  await store.close();
});

test("a collection whose every key was deleted is compacted to nothing, and opens again", async () => {
  const { directory, store } = await created(8);
  for (let i = 0; i < 100; i++) store.insert(key(i), new Float32Array(8).fill(i));
  store.delete(Array.from({ length: 100 }, (_, i) => key(i)));
  await store.checkpoint();
  await store.compact();
  const reopened = await Collection.open(copyOf(directory), (message) => expect.fail(message), testIndex);
  expect(reopened.stats()).toMatchObject({ vectors: 0, slots: 0, compactions: 1 });
  await reopened.close();
  await store.close();
});

test("closing stops a compaction, and nothing of it is left", async () => {
  const { directory, store } = await created(32);
  for (let i = 0; i < 5_000; i++) store.insert(key(i % 1_000), new Float32Array(32).fill(i));
  const refused = expect(store.compact()).rejects.toMatchObject({ code: "TRYAGAIN" });
  await new Promise(setImmediate);
  await store.close();
  await refused;
  expect(fs.readdirSync(directory).filter((name) => name.startsWith("generation"))).toEqual([]);
  const reopened = await Collection.open(directory, (message) => expect.fail(message), testIndex);
  expect(reopened.length).toBe(1_000);
  await reopened.close();
});

test("disk space returns: nothing maps a deleted file any more", async () => {
  const { directory, store } = await created(256);
  for (let i = 0; i < 20_000; i++) store.insert(key(i % 500), new Float32Array(256).fill(i));
  const before = Number(store.stats().segment_bytes);
  await store.compact();
  const { segment_bytes, resident_bytes } = store.stats();
  expect(Number(segment_bytes)).toBeLessThan(before / 10);
  expect(Number(resident_bytes)).toBeGreaterThan(0);
  expect(Number(resident_bytes)).toBeLessThanOrEqual(Number(segment_bytes));
  await vi.waitFor(() => expect(deletedMappings(directory)).toEqual([]), { timeout: 5_000 });
  await store.close();
});

test("10 rounds of rewriting every key leave files bounded by twice the live data and a segment per size", async () => {
  const { directory, store } = await created(128);
  const n = 1_500;
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < n; i++)
      store.insert(key(i), new Float32Array(128).fill(round * n + i), { attributes: `{"i":${i}}` });
    if (store.deadShare > 0.3) await store.compact();
    expectBoundedFiles(directory, store);
  }
  const bytes = bytesOfFiles(directory);
  console.log(`${10 * n * 512} bytes of vectors written, left are ${JSON.stringify(bytes)}`);
  await store.close();
  expect(bytesOfFiles(directory)).toMatchObject({ segment: bytes.segment, keys: bytes.keys });
}, 180_000);

test("recall@10 after 75% deletes, before and after", { timeout: 120_000 }, async () => {
  const { words, vector, base, queries } = loadWords();
  const directory = temporaryDirectory();
  await createFiles(directory, "c", resolveOptions({ dimensions: DIMENSIONS }), "0-0");
  const store = await Collection.open(directory, (message) => expect.fail(message), testIndex);
  for (const row of base) store.insert(Buffer.from(words[row]!), vector(row));
  await store.build();
  for (const [i, row] of base.entries()) if (i % 4 !== 0) store.delete([Buffer.from(words[row]!)]);
  const recall = async () => {
    let found = 0;
    for (const row of queries) {
      const truth = new Set(
        (await store.search(vector(row), { k: 10, exact: true })).map((hit) => text(hit.key)),
      );
      const hits = await store.search(vector(row), { k: 10, ef: 200 });
      found += hits.filter((hit) => truth.has(text(hit.key))).length;
    }
    return found / (queries.length * 10);
  };
  const before = await recall();
  await store.compact();
  expect(store.tailLength).toBe(0);
  const after = await recall();
  console.log(`recall@10 at ef 200: ${before} before, ${after} after`);
  expect(Math.min(before, after)).toBeGreaterThanOrEqual(0.99);
  await store.close();
});

/** Of vectors and logs twice what is alive, of the index one, which is no larger than in memory. */
function expectBoundedFiles(directory: string, store: Collection): void {
  const { dimensions } = store.options;
  let [segments, rows] = [0, 0];
  for (let number = 0; rows < store.length; number++) {
    rows += segmentCapacity(number, dimensions);
    segments += segmentBytes(number);
  }
  const { keys } = store.scan(0, Number.MAX_SAFE_INTEGER);
  const log = (payload: (key: Uint8Array) => number) =>
    LOG_HEADER.bytes + 2 * keys.reduce((sum, each) => sum + RECORD_HEADER.bytes + payload(each), 0);
  const allowed: Record<string, number> = {
    segment: 2 * store.length * dimensions * 4 + segments,
    keys: log((each) => each.length),
    attributes: log((each) => store.getAttributes(each)!.length),
    index: 1.01 * Number(store.stats().index_bytes),
    pages:
      LOG_HEADER.bytes + (PAGE_CHECKSUM_BYTES * (2 * store.length * dimensions * 4 + segments)) / PAGE_BYTES,
    columns: log((each) => store.getAttributes(each)!.length),
    MANIFEST: 4_096,
  };
  for (const [kind, bytes] of Object.entries(bytesOfFiles(directory)))
    expect(bytes, kind).toBeLessThanOrEqual(allowed[kind] ?? 0);
}

/** Bytes of all files below a directory, by the first word of their names. */
function bytesOfFiles(directory: string): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const kind = entry.name.split(/[-.]/)[0]!;
    sums[kind] = (sums[kind] ?? 0) + fs.statSync(`${entry.parentPath}/${entry.name}`).size;
  }
  return sums;
}

/** Below a directory: the stores of other tests go when the garbage collector finds them. */
function deletedMappings(directory: string): string[] {
  const maps = fs.readFileSync("/proc/self/maps", "utf8").split("\n");
  return maps.filter((line) => line.includes(`${directory}/`) && line.includes("(deleted)"));
}

/**
 * The manifest first: what it names only grows, or is deleted when another manifest is there; then the copy is made
 * again.
 */
function copyOf(directory: string): string {
  for (;;) {
    const copy = temporaryDirectory();
    try {
      fs.copyFileSync(`${directory}/${names.MANIFEST_FILE}`, `${copy}/${names.MANIFEST_FILE}`);
      for (const entry of fs.readdirSync(directory)) {
        if (!entry.startsWith(names.MANIFEST_FILE))
          fs.cpSync(`${directory}/${entry}`, `${copy}/${entry}`, { recursive: true });
      }
      const again = fs.readFileSync(`${directory}/${names.MANIFEST_FILE}`);
      if (again.equals(fs.readFileSync(`${copy}/${names.MANIFEST_FILE}`))) return copy;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}
