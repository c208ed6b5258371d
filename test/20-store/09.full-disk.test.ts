/**
 * A disk that has no more room, played where the engine calls the file system, so that it can be tested where nothing
 * may be mounted. The real thing, with a small disk and the whole program, is
 * test/95-what-goes-wrong/05.disk-full.test.ts.
 */
import * as fs from "node:fs";
import { beforeEach, expect, test, vi } from "vitest";
import { Collection } from "../../src/engine/collection.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const disk = vi.hoisted(() => ({ room: Number.POSITIVE_INFINITY }));

vi.mock("node:fs", async (importOriginal) => {
  const real = await importOriginal<typeof import("node:fs")>();
  const take = (bytes: number): Error | undefined => {
    if (bytes > disk.room)
      return Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    disk.room -= bytes;
    return undefined;
  };
  type Done = (error: Error | null, written?: number, buffer?: Uint8Array) => void;
  const write = (fd: number, bytes: Uint8Array, from: number, length: number, at: number, done: Done) => {
    const full = take(length);
    if (full !== undefined) setImmediate(done, full);
    else real.write(fd, bytes, from, length, at, done);
  };
  // As that of Node: promisify would lose how much was written.
  Object.assign(write, {
    [Symbol.for("nodejs.util.promisify.custom")]: (
      ...args: [number, Uint8Array, number, number, number]
    ): Promise<{ bytesWritten: number }> =>
      new Promise((resolve, reject) => {
        write(...args, (error, bytesWritten) =>
          error ? reject(error) : resolve({ bytesWritten: bytesWritten! }),
        );
      }),
  });
  const writeSync = (fd: number, bytes: Uint8Array, from: number, length: number, at: number) => {
    const full = take(length);
    if (full !== undefined) throw full;
    return real.writeSync(fd, bytes, from, length, at);
  };
  return { ...real, write, writeSync };
});

const DIMENSIONS = 256;
const MIB = 2 ** 20;
const key = (i: number) => Buffer.from(`key ${i}`);
const vector = (i: number) => new Float32Array(DIMENSIONS).fill(i);

let directory: string;
let store: Collection;

beforeEach(async () => {
  disk.room = Number.POSITIVE_INFINITY;
  directory = temporaryDirectory();
  await createFiles(directory, "c", resolveOptions({ dimensions: DIMENSIONS, metric: "L2" }), "0-0");
  store = await open();
});

const open = () => Collection.open(directory, () => {}, "native");

/** As the bridge writes: room first, then the write. */
async function insert(i: number): Promise<void> {
  await store.reserve(1);
  store.insert(key(i), vector(i));
  store.appliedId = `${i + 1}-0`;
}

async function insertUntilFull(from: number): Promise<number> {
  for (let i = from; i < 100_000; i++) {
    const refusal = await insert(i).catch((error: Error) => error);
    if (refusal === undefined) continue;
    expect(refusal).toMatchObject({ code: "FULL" });
    return i;
  }
  throw new Error("the disk never became full");
}

async function expectAll(count: number): Promise<void> {
  expect(store.length).toBe(count);
  for (let i = 0; i < count; i++) expect(store.get(key(i))?.[0]).toBe(i);
  const [nearest] = await store.search(vector(count - 1), { k: 1 });
  expect(Buffer.from(nearest!.key).toString()).toBe(`key ${count - 1}`);
}

test("a write without room is FULL and changes nothing; reads go on, and writes once there is room", async () => {
  disk.room = 12 * MIB;
  const count = await insertUntilFull(0);
  expect(count).toBeGreaterThan(5_000);
  expect(await insertUntilFull(count)).toBe(count);
  await expectAll(count);
  disk.room = Number.POSITIVE_INFINITY;
  await insert(count);
  await expectAll(count + 1);
  await store.close();
  store = await open();
  await expectAll(count + 1);
  await store.close();
});

test("a checkpoint without room fails and leaves the last one whole; the next one has everything", async () => {
  for (let i = 0; i < 100; i++) await insert(i);
  await store.checkpoint();
  for (let i = 100; i < 300; i++) await insert(i);
  disk.room = 0;
  await expect(store.checkpoint()).rejects.toMatchObject({ code: "FULL" });
  await expectAll(300);
  const copy = temporaryDirectory();
  fs.cpSync(directory, copy, { recursive: true });
  disk.room = Number.POSITIVE_INFINITY;
  const crashed = await Collection.open(copy, () => {}, "native");
  expect([crashed.length, crashed.appliedId]).toEqual([100, "100-0"]);
  await crashed.close();
  await store.checkpoint();
  await store.abandon();
  store = await open();
  await expectAll(300);
  await store.close();
});
