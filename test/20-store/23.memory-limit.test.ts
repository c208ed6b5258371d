/** Under a memory limit: what limits there are, which index stays in its file, and cold vectors. */
import * as fs from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { Collection } from "../../src/engine/collection.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { cgroupLimit, memoryBudget } from "../../src/engine/memory-budget.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

afterEach(() => memoryBudget.set(undefined));

describe("the limit of a cgroup", () => {
  /** Writes files below a directory, which stands for /sys/fs/cgroup, and the process' groups. */
  function limitOf(groups: string, files: Record<string, string>): number | undefined {
    const root = temporaryDirectory();
    for (const [path, text] of Object.entries(files)) {
      fs.mkdirSync(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      fs.writeFileSync(`${root}/${path}`, text);
    }
    fs.writeFileSync(`${root}/groups`, groups);
    return cgroupLimit(`${root}/groups`, root);
  }

  test("of version 2 is the lowest on the way up", () => {
    const files = { "a/memory.max": "3000\n", "a/b/memory.max": "5000\n", "a/b/c/memory.max": "max\n" };
    expect(limitOf("0::/a/b/c\n", files)).toBe(3000);
    expect(limitOf("0::/d\n", files)).toBeUndefined();
    expect(limitOf("0::/d\n", { "memory.max": "7000\n" }), "in a container").toBe(7000);
  });

  test("of version 1 is in the memory controller", () => {
    const groups = "5:cpu,cpuacct:/x\n4:memory:/a\n0::/\n";
    expect(limitOf(groups, { "memory/a/memory.limit_in_bytes": "4096\n" })).toBe(4096);
    expect(limitOf(groups, { "memory/a/memory.limit_in_bytes": "9223372036854771712\n" })).toBeUndefined();
    expect(limitOf(groups, {})).toBeUndefined();
  });

  test("and that of the setting: the lower one counts", () => {
    memoryBudget.set(1 << 20);
    expect(memoryBudget.limit).toBeLessThanOrEqual(1 << 20);
    const cgroup = cgroupLimit();
    memoryBudget.set(undefined);
    expect(memoryBudget.limit).toBe(cgroup);
  });
});

test("indexes share half of the limit, the first come first", () => {
  memoryBudget.set(1000);
  const [a, b] = [{}, {}];
  expect(memoryBudget.claim(a, 300)).toBe(true);
  expect(memoryBudget.claim(b, 300)).toBe(false);
  expect(memoryBudget.claim(b, 200)).toBe(true);
  expect(memoryBudget.claim(a, 301)).toBe(false);
  memoryBudget.release(b);
  expect(memoryBudget.claim(a, 500)).toBe(true);
  memoryBudget.release(a);
});

const DIMENSIONS = 8;
const VECTORS = 17_000;
const random = generator(testSeed());
const vectors = Array.from({ length: VECTORS }, () => randomVector(random, DIMENSIONS));
const key = (i: number) => Buffer.from(`key ${i}`);

async function expectFindsThemselves(store: Collection): Promise<void> {
  for (let i = 0; i < VECTORS; i += 501) {
    const [found] = await store.search(vectors[i]!, { k: 1 });
    expect(Buffer.from(found!.key).toString()).toBe(`key ${i}`);
  }
}

test.runIf(testIndex !== "portable")("an index beyond the limit stays in its file, and goes on", async () => {
  memoryBudget.set(100_000);
  const directory = temporaryDirectory();
  const options = resolveOptions({ dimensions: DIMENSIONS, metric: "L2", M: 4, efConstruction: 8 });
  await createFiles(directory, "c", options, "0-0");
  const warnings: string[] = [];
  const open = () => Collection.open(directory, (message) => warnings.push(message), testIndex);
  const store = await open();
  const before = new Set(memoryBudget.holders);
  for (let i = 0; i < VECTORS; i++) store.insert(key(i), vectors[i]!);
  store.appliedId = "1-0";
  await store.build();
  await expectFindsThemselves(store);
  expect(before.size).toBeGreaterThan(0);
  await store.close();
  expect(memoryBudget.holders.size).toBe(0);
  const reopened = await open();
  await reopened.build();
  const stats = reopened.stats();
  expect(stats.index_mapped_bytes).toBeGreaterThan(1_000_000);
  expect(stats.index_resident_bytes).toBeLessThanOrEqual(Number(stats.index_mapped_bytes));
  for (const holder of memoryBudget.holders) await holder.giveBack(() => true);
  await expectFindsThemselves(reopened);
  for (let i = 0; i < 2_000; i++) reopened.insert(key(i), vectors[i]!);
  reopened.appliedId = "2-0";
  await reopened.build();
  await expectFindsThemselves(reopened);
  await reopened.close();
  expect(warnings).toEqual([]);
});
