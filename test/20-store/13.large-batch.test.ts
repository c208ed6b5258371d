/** A batch that is written a slice at a time has the effect of one that is stored at once, or none. */
import * as fs from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import type { Collection } from "../../src/engine/collection.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { damagesIn, contents as unordered } from "../harness/data-directory.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const dimensions = 256;
const count = 3_000;
const time = 1_000_000;
const options = resolveOptions({ dimensions, metric: "L2", M: 4, efConstruction: 4 });

let directory: string;
let catalog: Catalog;
let large: Collection;
let plain: Collection;
const random = generator(testSeed());

beforeEach(async () => {
  directory = `${temporaryDirectory()}/data`;
  catalog = await Catalog.open(directory);
  large = await catalog.create("large", options, "0-1");
  plain = await catalog.create("plain", options, "0-2");
});

afterEach(async () => {
  await catalog.close();
  expect(await damagesIn(directory)).toEqual([]);
  fs.rmSync(directory, { recursive: true });
});

const rowOf = (vectors: Float32Array) => (i: number) =>
  vectors.subarray(i * dimensions, (i + 1) * dimensions);

const contents = (collection: Collection) => unordered(collection).sort();

/** Keys of which some come twice, and some are there already, with attributes or a deadline that is over. */
function batch() {
  const keys = Array.from({ length: count }, (_, i) => Buffer.from(`k${i % 7 === 0 ? i >> 1 : i}`));
  const vectors = new Float32Array(count * dimensions);
  for (let i = 0; i < count; i++) vectors.set(randomVector(random, dimensions), i * dimensions);
  return {
    keys,
    vectors,
    texts: keys.map((_, i) => (i % 3 === 0 ? "" : `{"i":${i},"x":"${"x".repeat(i % 2_000)}"}`)),
  };
}

function begin(collection: Collection): void {
  for (let i = 0; i < 200; i++) {
    const deadline = i % 5 === 0 ? time - 1 : undefined;
    const given = { attributes: `{"first":${i}}`, deadline };
    collection.insert(Buffer.from(`k${i}`), new Float32Array(dimensions).fill(i), given, 1);
  }
}

test.each(["with attributes", "without, which keeps those that are there"])("%s", async (how) => {
  const { keys, vectors, texts } = batch();
  for (const collection of [large, plain]) begin(collection);
  const given = how === "with attributes" ? texts : undefined;
  const bytes = given?.map((text) => Buffer.from(text));
  const commit = await large.insertLargeBatch({
    keys,
    vectorOf: rowOf(vectors),
    attributes: bytes,
    time,
    lifetime: {},
  });
  const before = contents(large);
  const added = commit();
  expect(added).toBe(plain.insertBatch(keys, vectors, given, time));
  expect(before).not.toEqual(contents(large));
  expect(contents(large)).toEqual(contents(plain));
  await catalog.close();
  catalog = await Catalog.open(directory);
  expect(contents(catalog.get("large"))).toEqual(contents(catalog.get("plain")));
});

test("until it is committed no reader and no checkpoint sees any of it", async () => {
  const { keys, vectors, texts } = batch();
  begin(large);
  const before = contents(large);
  let isWritten = false;
  const bytes = texts.map((text) => Buffer.from(text));
  const writing = large
    .insertLargeBatch({ keys, vectorOf: rowOf(vectors), attributes: bytes, time, lifetime: {} })
    .then((commit) => {
      isWritten = true;
      return commit;
    });
  let checkpoints = 0;
  while (!isWritten) {
    expect(contents(large)).toEqual(before);
    await large.checkpoint();
    checkpoints++;
    await nextTurn();
  }
  expect(checkpoints).toBeGreaterThan(0);
  // As after a crash: what the last checkpoint names is all there is.
  const copy = `${temporaryDirectory()}/copy`;
  fs.cpSync(directory, copy, { recursive: true });
  const found = await Catalog.open(copy);
  expect(contents(found.get("large"))).toEqual(before);
  await found.close();
  (await writing)();
  expect(large.length).toBeGreaterThan(before.length);
});

test("a row that is not finite, at the end, leaves nothing behind, and the next batch is stored", async () => {
  const { keys, vectors, texts } = batch();
  begin(large);
  const before = contents(large);
  const bytes = texts.map((text) => Buffer.from(text));
  const bad = vectors.slice();
  bad[bad.length - 1] = Number.NaN;
  await expect(
    large.insertLargeBatch({ keys, vectorOf: rowOf(bad), attributes: bytes, time, lifetime: {} }),
  ).rejects.toThrow(/^'vector 3000' must be finite/);
  expect(contents(large)).toEqual(before);
  large.insert(Buffer.from("between"), new Float32Array(dimensions), { attributes: '{"between":1}' }, time);
  (await large.insertLargeBatch({ keys, vectorOf: rowOf(vectors), attributes: bytes, time, lifetime: {} }))();
  await large.checkpoint();
});

test("a compaction beside it puts its files in place before it or after it", async () => {
  begin(large);
  begin(large);
  for (let round = 0; round < 3; round++) {
    const { keys, vectors, texts } = batch();
    const bytes = texts.map((text) => Buffer.from(text));
    const compacting = large.compact();
    (
      await large.insertLargeBatch({ keys, vectorOf: rowOf(vectors), attributes: bytes, time, lifetime: {} })
    )();
    plain.insertBatch(keys, vectors, texts, time);
    await compacting;
  }
  for (let i = 0; i < 200; i++)
    if (!plain.has(Buffer.from(`k${i}`))) large.delete([Buffer.from(`k${i}`)], time);
  expect(contents(large)).toEqual(contents(plain));
});
