/** SCAN's promise: it ends, and returns every key that was there all the time, whatever is written meanwhile. */
import { expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import type { Collection } from "../../src/engine/collection.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const KEYS = 300;
const COUNT = 10;
/** More would mean that the iteration runs after what is written. */
const CALLS_MAX = KEYS;

const keyOf = (i: number) => Buffer.from(`key:${i}`);

async function withCollection(run: (collection: Collection) => void | Promise<void>): Promise<void> {
  const catalog = await Catalog.open(temporaryDirectory());
  const collection = await catalog.create("c", resolveOptions({ dimensions: 2, metric: "L2" }), "1-0");
  for (let i = 0; i < KEYS; i++) collection.insert(keyOf(i), new Float32Array([i, i]));
  await run(collection);
  await catalog.close();
}

function scanAll(collection: Collection, between: (call: number) => void): Set<string> {
  const seen = new Set<string>();
  let cursor = 0;
  let calls = 0;
  do {
    const page = collection.scan(cursor, COUNT);
    for (const key of page.keys) seen.add(Buffer.from(key).toString());
    cursor = page.cursor;
    between(calls++);
  } while (cursor !== 0 && calls < CALLS_MAX);
  expect(cursor, `the iteration ends within ${CALLS_MAX} calls`).toBe(0);
  return seen;
}

test("it ends and finds every key while all of them are updated again and again", () =>
  withCollection((collection) => {
    let written = 0;
    const seen = scanAll(collection, () => {
      for (let i = 0; i < KEYS / 3; i++) collection.insert(keyOf(written++ % KEYS), new Float32Array([i, 1]));
    });
    expect(seen.size).toBe(KEYS);
  }));

test("it ends and finds the keys that stay while others come and go", () =>
  withCollection((collection) => {
    const random = generator(testSeed());
    const stays = (i: number) => i % 3 === 0;
    const seen = scanAll(collection, (call) => {
      for (let n = 0; n < 20; n++) {
        const i = Math.floor(random() * KEYS);
        if (!stays(i)) collection.delete([keyOf(i)]);
        collection.insert(Buffer.from(`new:${call}:${n}`), new Float32Array([n, 2]));
      }
    });
    const staying = Array.from({ length: KEYS }, (_, i) => i).filter(stays);
    expect(staying.filter((i) => !seen.has(`key:${i}`))).toEqual([]);
  }));

test("it finds every key when a compaction comes in between", () =>
  withCollection(async (collection) => {
    for (let i = 0; i < KEYS; i++) collection.insert(keyOf(i), new Float32Array([i, 3]));
    const first = collection.scan(0, COUNT);
    await collection.compact();
    const seen = new Set<string>();
    let { cursor } = first;
    do {
      const page = collection.scan(cursor, COUNT);
      for (const key of page.keys) seen.add(Buffer.from(key).toString());
      cursor = page.cursor;
    } while (cursor !== 0);
    for (const key of first.keys) seen.add(Buffer.from(key).toString());
    expect(seen.size).toBe(KEYS);
  }));
