/**
 * A process is killed while it saves an index that stays in its file: the regions of the graph in memory are exchanged
 * with those of the new file meanwhile. Whenever that happens, the files hold a whole index and every vector that a
 * checkpoint covered.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { setImmediate, setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endingWithThis, ownDirectory, removeWithProcesses } from "../../harness/left-behind.ts";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { readManifest } from "../../src/engine/disk/manifest.ts";
import { indexFile, TEMPORARY_SUFFIX } from "../../src/engine/disk/names.ts";
import type { FailPoint } from "../../src/engine/fail-point.ts";
import { MmapVectorStore } from "../../src/engine/library/mmap-vector-store.ts";
import { verify } from "../../src/engine/tools/verify.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const random = generator(testSeed());
const OPTIONS = { dimensions: 4, metric: "L2", M: 4, efConstruction: 8 } as const;
/** More than a chunk of the native graph, so that there is a region to be mapped. */
const SAVED = 17_000;
/** So many more that the index is saved again. */
const VECTORS = 20_500;
const vectors = Array.from({ length: VECTORS }, () => randomVector(random, OPTIONS.dimensions));
const rowsOf = (from: number, to: number) => {
  const rows = new Float32Array((to - from) * OPTIONS.dimensions);
  for (let i = from; i < to; i++) rows.set(vectors[i]!, (i - from) * OPTIONS.dimensions);
  return rows;
};
const keysOf = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `key ${from + i}`);

/** Of a memory that has no room for an index: the store keeps it in its file. */
const program = `
  const [rows, directory] = process.argv.slice(-2);
  const { readFileSync } = await import("node:fs");
  const { memoryBudget } = await import("${new URL("../../src/engine/memory-budget.ts", import.meta.url)}");
  const { MmapVectorStore } = await import("${new URL("../../src/engine/library/mmap-vector-store.ts", import.meta.url)}");
  memoryBudget.set(1);
  const store = await MmapVectorStore.open(directory, {}, console.error, "native");
  const keys = Array.from({ length: ${VECTORS - SAVED} }, (_, i) => "key " + (${SAVED} + i));
  store.insertBatch(keys, new Float32Array(new Uint8Array(readFileSync(rows)).buffer));
  await store.checkpoint();
  await store.buildIndex();
  await store.close();
  // It waits to be killed.
  setInterval(() => {}, 60_000);
`;

let base: string;
let later: string;

beforeAll(async () => {
  [base, later] = [ownDirectory("test"), ownDirectory("test")];
  const store = await MmapVectorStore.open(base, OPTIONS, expect.fail, "native");
  store.insertBatch(keysOf(0, SAVED), rowsOf(0, SAVED));
  await store.buildIndex();
  await store.close();
  fs.writeFileSync(`${later}/rows`, rowsOf(SAVED, VECTORS));
}, 120_000);

afterAll(() => {
  for (const directory of [base, later]) removeWithProcesses(directory);
});

/** Runs the program on a copy of the store; `kill` decides when it ends. */
async function interrupted(
  env: NodeJS.ProcessEnv,
  kill: (directory: string, hasEnded: () => boolean) => Promise<void>,
): Promise<string> {
  const directory = temporaryDirectory();
  fs.cpSync(base, directory, { recursive: true });
  const args = [
    "--import",
    import.meta.resolve("tsx"),
    "--input-type=module",
    "-e",
    program,
    `${later}/rows`,
    directory,
  ];
  const [command, all] = endingWithThis(process.execPath, args);
  const child = spawn(command, all, { cwd: directory, env: { ...process.env, ...env }, stdio: "inherit" });
  const ended = once(child, "exit");
  await kill(directory, () => child.exitCode !== null || child.signalCode !== null);
  child.kill("SIGKILL");
  expect((await ended)[1], "what ended it").toBe("SIGKILL");
  return directory;
}

async function expectFinds(store: MmapVectorStore, covered: number): Promise<void> {
  expect(store.length).toBe(covered);
  for (let i = 0; i < covered; i += 601) {
    const [found] = await store.search(vectors[i]!, { k: 1 });
    expect(found).toMatchObject({ key: `key ${i}`, distance: 0 });
  }
}

async function expectWhole(directory: string): Promise<void> {
  const { slots, index } = await readManifest(directory);
  expect([SAVED, VECTORS], "no half of a batch").toContain(slots);
  expect(index?.watermark).toBeGreaterThanOrEqual(SAVED);
  const { collections } = await verify(directory, () => {});
  expect(collections.flatMap(({ files }) => files.flatMap(({ damages }) => damages))).toEqual([]);
  const store = await MmapVectorStore.open(directory, {}, expect.fail, "native");
  await expectFinds(store, slots);
  await store.buildIndex();
  await expectFinds(store, slots);
  await store.close();
  expect(fs.readdirSync(directory).filter((name) => name.endsWith(TEMPORARY_SUFFIX))).toEqual([]);
}

test.each<FailPoint>(["index-half-written", "index-before-manifest"])(
  "at %s",
  async (name) => {
    const directory = await interrupted({ FAIL_POINT: name }, async (_, hasEnded) => {
      while (!hasEnded()) await setTimeout(10);
    });
    await expectWhole(directory);
  },
  60_000,
);

test.each([0, 1])(
  "while the file grows, %i",
  async () => {
    const { bytes } = (await readManifest(base)).index!;
    // The new one is larger.
    const wanted = random() * bytes;
    const next = indexFile(2);
    const isThere = (path: string) => (fs.statSync(path, { throwIfNoEntry: false })?.size ?? -1) >= wanted;
    const directory = await interrupted({}, async (where, hasEnded) => {
      const paths = [`${where}/${next}${TEMPORARY_SUFFIX}`, `${where}/${next}`];
      while (!hasEnded() && !paths.some(isThere)) await setImmediate();
    });
    await expectWhole(directory);
  },
  60_000,
);
