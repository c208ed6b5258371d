/** Reads that are under way when their collection is closed, dropped or compacted: they end in order, or go on. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Catalog } from "../../src/engine/catalog.ts";
import type { Collection } from "../../src/engine/collection.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { VstoreError } from "../../src/errors.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const rows = 20_000;
const one = new Float32Array([1]);
const manyKeys = Array.from({ length: rows / 2 }, (_, i) => Buffer.from(`k${rows / 2 + i}`));

async function filled(): Promise<Catalog> {
  const catalog = await Catalog.open(temporaryDirectory());
  const collection = await catalog.create("c", resolveOptions({ dimensions: 1, metric: "L2" }), "1-0");
  const keys = Array.from({ length: rows }, (_, i) => Buffer.from(`k${i}`));
  const vectors = Float32Array.from({ length: rows }, (_, i) => i);
  // Too long for the columns, so each filter has to read it.
  const attributes = keys.map((_, i) => `{"n":${i},"same":${i % 3},"text":"${"x".repeat(1_100)}"}`);
  for (let at = 0; at < rows; at += 1_000)
    collection.insertBatch(
      keys.slice(at, at + 1_000),
      vectors.subarray(at, at + 1_000),
      attributes.slice(at, at + 1_000),
    );
  collection.delete(keys.slice(0, rows / 10));
  return catalog;
}

/** Reads of each kind that waits in between: for its filter, for other requests, or for the index. */
function reads(collection: Collection, nth: number): Promise<unknown>[] {
  const filter = `.n % 7 != ${nth} and .text != "${nth}"`;
  const attributes = async () => nextTurn();
  return [
    collection.search(one, { k: 10, filter, attributes }),
    collection.search(one, { k: 10, exact: true, attributes }),
    collection.search(one, { k: 3, distinct: { field: "same" }, attributes }),
    collection.search(one, { k: 10, filter, distinct: { field: "n" }, attributes }),
    collection.matching.slots(filter),
    collection.matching.explain(filter, 10, undefined),
    collection.sampling.randomKeys(rows / 3),
    collection.getMany(manyKeys, (row) => row),
  ];
}

/** Their errors, without those that say in order that the collection is not there. */
async function errorsOf(
  all: Promise<unknown>[],
  code: string,
): Promise<{ refused: number; others: unknown[] }> {
  const outcomes = await Promise.allSettled(all);
  const errors = outcomes.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  const isInOrder = (error: unknown) => error instanceof VstoreError && error.code === code;
  return { refused: errors.filter(isInOrder).length, others: errors.filter((error) => !isInOrder(error)) };
}

describe.each([0, 2, 20])("after %d turns of the event loop", (turns) => {
  async function begun(catalog: Catalog): Promise<Promise<unknown>[]> {
    const under = [0, 1, 2].flatMap((nth) => reads(catalog.get("c"), nth));
    for (const each of under) each.catch(() => {});
    for (let i = 0; i < turns; i++) await nextTurn();
    return under;
  }

  test("the files are closed", async () => {
    const catalog = await filled();
    const under = await begun(catalog);
    await catalog.close();
    const { refused, others } = await errorsOf(under, "TRYAGAIN");
    expect(others).toEqual([]);
    if (turns < 5) expect(refused).toBeGreaterThan(0);
  });

  test("the collection is dropped", async () => {
    const catalog = await filled();
    const under = await begun(catalog);
    await catalog.drop("c", "9-0");
    const { refused, others } = await errorsOf(under, "NOCOLLECTION");
    expect(others).toEqual([]);
    if (turns < 5) expect(refused).toBeGreaterThan(0);
    await catalog.close();
  });

  test("a compaction replaces the files", async () => {
    const catalog = await filled();
    const under = await begun(catalog);
    await catalog.get("c").compact();
    under.push(...reads(catalog.get("c"), 3));
    expect(await errorsOf(under, "none")).toEqual({ refused: 0, others: [] });
    await catalog.close();
  });
});

test("the vectors of many keys are as of one moment, whatever is written and compacted meanwhile", async () => {
  const catalog = await filled();
  const collection = catalog.get("c");
  const ends = [manyKeys[0]!, manyKeys.at(-1)!];
  let [version, isOver] = [0, false];
  const write = async () => {
    while (!isOver) {
      collection.insertBatch(ends, new Float32Array(2).fill(--version));
      await nextTurn();
    }
  };
  collection.insertBatch(ends, new Float32Array(2).fill(version));
  const writing = write();
  for (let round = 0; round < 12; round++) {
    const compacting = round % 6 === 0 ? collection.compact() : undefined;
    const found = await collection.getMany(manyKeys, (row) => row?.[0]);
    expect(found[0]).toBeLessThanOrEqual(0);
    expect(found.at(-1)).toBe(found[0]);
    expect(found.slice(1, -1)).toEqual(manyKeys.slice(1, -1).map((_, i) => rows / 2 + 1 + i));
    await compacting;
  }
  isOver = true;
  await writing;
  expect(version).toBeLessThan(-12);
  await catalog.close();
});
