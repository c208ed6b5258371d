/**
 * What a crash leaves: the files as they are on disk, at any moment, without close. A copy of the directory stands for
 * it; opening the copy must give exactly the state of the last checkpoint.
 */
import * as fs from "node:fs";
import { expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { Collection } from "../../src/engine/collection.ts";
import * as names from "../../src/engine/disk/names.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const DIMENSIONS = 16;
const key = (i: number) => Buffer.from(`key ${i}`);
const vector = (i: number) => Float32Array.from({ length: DIMENSIONS }, (_, at) => i + at / 100);

async function created(): Promise<{ directory: string; store: Collection }> {
  const directory = temporaryDirectory();
  await createFiles(directory, "c", resolveOptions({ dimensions: DIMENSIONS, metric: "L2" }), "0-0");
  return { directory, store: await open(directory) };
}

const open = (directory: string, warnings: string[] = []) =>
  Collection.open(
    directory,
    (message, details) => warnings.push(`${message} ${JSON.stringify(details)}`),
    testIndex,
  );

/** The manifest is copied first: files only grow, so what it names is whole in whatever is copied after it. */
function crash(directory: string): string {
  const copy = temporaryDirectory();
  const rest = fs
    .readdirSync(directory)
    .filter((name) => name !== names.MANIFEST_FILE && !name.endsWith(".tmp"));
  for (const name of [names.MANIFEST_FILE, ...rest])
    fs.copyFileSync(`${directory}/${name}`, `${copy}/${name}`);
  return copy;
}

/** By key: a scan has an order of its own in each process. */
function contents(store: Collection): [string, number[], string | undefined][] {
  const { keys } = store.scan(0, Number.MAX_SAFE_INTEGER);
  const texts = keys.map((key) => Buffer.from(key).toString()).sort();
  return texts.map((text) => {
    const key = Buffer.from(text);
    return [text, [...store.get(key)!], store.getAttributes(key)];
  });
}

async function fill(store: Collection, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    store.insert(key(i), vector(i), i % 3 === 0 ? { attributes: `{"i":${i}}` } : {});
    store.appliedId = `${i + 1}-0`;
  }
}

test("a crash keeps the last checkpoint, exactly, and nothing written after it", async () => {
  const { directory, store } = await created();
  await fill(store, 0, 500);
  store.delete([key(7)]);
  store.setAttributes(key(9), "");
  await store.checkpoint();
  const covered = contents(store);

  await fill(store, 300, 900);
  store.delete([key(8)]);
  const reopened = await open(crash(directory));
  expect(contents(reopened)).toEqual(covered);
  expect([reopened.appliedId, reopened.checkpointId]).toEqual(["500-0", "500-0"]);
  await reopened.close();
  await store.close();
});

test("a crash at any moment of a checkpoint gives the old state or the new one", async () => {
  const random = generator(testSeed());
  const { directory, store } = await created();
  await fill(store, 0, 100);
  await store.checkpoint();
  for (let round = 1; round <= 15; round++) {
    const before = contents(store);
    await fill(store, round * 100, round * 100 + 100);
    const after = contents(store);
    const checkpoint = store.checkpoint();
    const ticks = Math.floor(random() * 12);
    for (let i = 0; i < ticks; i++) await new Promise(setImmediate);
    const reopened = await open(crash(directory));
    const found = contents(reopened);
    expect(found).toEqual(found.length === before.length ? before : after);
    expect(reopened.appliedId).toBe(`${found.length}-0`);
    await reopened.close();
    await checkpoint;
  }
  await store.close();
});

test("replaying the log after a crash gives the state that was lost", async () => {
  const { directory, store } = await created();
  await fill(store, 0, 200);
  await store.checkpoint();
  await fill(store, 150, 400);
  const reopened = await open(crash(directory));
  await fill(reopened, 150, 400);
  expect(contents(reopened)).toEqual(contents(store));
  await reopened.close();
  await store.close();
});

test("writes go on while a checkpoint is taken, and are not part of it", async () => {
  const { directory, store } = await created();
  await fill(store, 0, 1_000);
  const covered = contents(store);
  const checkpoint = store.checkpoint();
  await new Promise(setImmediate); // the point is taken; the files are being flushed
  await fill(store, 500, 3_000);
  expect(await checkpoint).toMatchObject({ id: "1000-0", slots: 1_000, changed: true });
  const reopened = await open(crash(directory));
  expect(contents(reopened)).toEqual(covered);
  await reopened.close();
  await store.close();
});

test("a checkpoint with nothing new writes nothing", async () => {
  const { directory, store } = await created();
  await fill(store, 0, 10);
  expect(await store.checkpoint()).toMatchObject({ changed: true });
  const { mtimeNs } = fs.statSync(`${directory}/${names.MANIFEST_FILE}`, { bigint: true });
  expect(await store.checkpoint()).toMatchObject({ changed: false, id: "10-0" });
  expect(fs.statSync(`${directory}/${names.MANIFEST_FILE}`, { bigint: true }).mtimeNs).toBe(mtimeNs);
  await store.close();
});

test("an update keeps the attributes it does not name, across restarts", async () => {
  const { directory, store } = await created();
  store.insert(key(1), vector(1), { attributes: '{"a":1}' });
  store.insert(key(1), vector(2));
  store.insertBatch([key(1), key(1)], new Float32Array([...vector(3), ...vector(4)]));
  expect(store.getAttributes(key(1))).toBe('{"a":1}');
  await store.close();
  const reopened = await open(directory);
  expect(contents(reopened)).toEqual([["key 1", [...vector(4)], '{"a":1}']]);
  reopened.insert(key(1), vector(5), { attributes: "" });
  expect(reopened.getAttributes(key(1))).toBeUndefined();
  await reopened.close();
});

test("leftovers of a crash are removed", async () => {
  const { directory, store } = await created();
  await fill(store, 0, 10);
  await store.close();
  const files = fs.readdirSync(directory).sort();
  for (const name of [
    "segment-000001.vec",
    "segment-000002.vec.background.tmp",
    "index-9.hnsw",
    "MANIFEST.json.tmp",
  ]) {
    fs.writeFileSync(`${directory}/${name}`, "half");
  }
  const reopened = await open(directory);
  expect(reopened.length).toBe(10);
  await reopened.close();
  expect(fs.readdirSync(directory).sort()).toEqual(files);
});

test("a saved index is loaded, and one that is not whole is built again with a warning", async () => {
  const { directory, store } = await created();
  await fill(store, 0, 300);
  await store.build();
  await store.close();
  const index = `${directory}/${names.indexFile(1)}`;
  const good = fs.readFileSync(index);

  const loaded = await open(directory);
  expect(loaded.tailLength).toBe(0);
  await loaded.close();

  const damages: [Buffer | undefined, RegExp][] = [
    [undefined, /ENOENT/],
    [good.subarray(0, good.length - 1), /bytes, expected/],
    [Buffer.from(good.map((byte, i) => (i === 5_000 ? byte ^ 1 : byte))), /checksum/],
  ];
  for (const [bytes, reason] of damages) {
    const copy = crash(directory);
    fs.rmSync(`${copy}/${names.indexFile(1)}`);
    if (bytes !== undefined) fs.writeFileSync(`${copy}/${names.indexFile(1)}`, bytes);
    const warnings: string[] = [];
    const reopened = await open(copy, warnings);
    expect(warnings).toEqual([expect.stringMatching(reason)]);
    expect(reopened.tailLength).toBe(300);
    expect(await reopened.search(vector(5), { k: 1 })).toMatchObject([{ distance: 0 }]);
    await reopened.build();
    await reopened.close();
    const again = await open(copy, warnings);
    expect([again.tailLength, warnings.length]).toEqual([0, 1]);
    await again.close();
  }
});

test.each<[string, (directory: string) => void, RegExp]>([
  ["a missing segment", (d) => fs.rmSync(`${d}/${names.segmentFile(0)}`), /segment-000000.vec.*missing/],
  ["a flipped bit in a key", (d) => flip(`${d}/${names.KEYS_FILE}`, 16 + 12 + 2), /keys.log at byte 16/],
  ["a key log cut short", (d) => fs.truncateSync(`${d}/${names.KEYS_FILE}`, 100), /keys.log at byte 100/],
  [
    "a flipped bit in attributes",
    (d) => flip(`${d}/${names.ATTRIBUTES_FILE}`, 30),
    /attributes.log at byte 16/,
  ],
  ["a missing manifest", (d) => fs.rmSync(`${d}/${names.MANIFEST_FILE}`), /MANIFEST.json.*missing/],
])("%s is found at opening and named with file and offset", async (_, damage, message) => {
  const { directory, store } = await created();
  await fill(store, 0, 100);
  await store.close();
  damage(directory);
  await expect(open(directory)).rejects.toThrow(message);
  await expect(open(directory)).rejects.toMatchObject({ code: "DAMAGED" });
});

test("random vectors survive growth over many segments and a restart", async () => {
  const random = generator(testSeed());
  const directory = temporaryDirectory();
  await createFiles(directory, "c", resolveOptions({ dimensions: 2_048, metric: "L2" }), "0-0");
  const store = await open(directory);
  const vectors = Array.from({ length: 1_200 }, () => randomVector(random, 2_048));
  for (const [i, row] of vectors.entries()) {
    await store.reserve(1);
    store.insert(key(i), row);
  }
  const slice = store.get(key(3))!;
  await store.close();
  const reopened = await open(directory);
  for (const [i, row] of vectors.entries()) {
    if (!sameBytes(reopened.get(key(i))!, row)) expect.fail(`vector ${i} is another one`);
  }
  expect(slice).toEqual(vectors[3]); // a slice outlives its store
  await reopened.close();
});

function sameBytes(a: Float32Array, b: Float32Array): boolean {
  return Buffer.compare(new Uint8Array(a.slice().buffer), new Uint8Array(b.slice().buffer)) === 0;
}

function flip(path: string, at: number): void {
  const bytes = fs.readFileSync(path);
  bytes[at]! ^= 1;
  fs.writeFileSync(path, bytes);
}
