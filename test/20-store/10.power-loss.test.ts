/**
 * The power fails at any moment, and nothing of what was not synced can be relied on: what a checkpoint covers is
 * there, exactly, and nothing that the manifest names is missing or torn.
 */
import * as fs from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, testSeed } from "../../harness/random.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import { Collection } from "../../src/engine/collection.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { compareIds } from "../../src/engine/log-id.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { VolatileDisk } from "../harness/volatile-disk.ts";

const disk = vi.hoisted(() => ({ sync: (_path: string): void => {} }));

vi.mock("node:fs", async (importOriginal) => {
  const real = await importOriginal<typeof import("node:fs")>();
  const fdatasync: typeof real.fdatasync = Object.assign(
    (descriptor: number, done: fs.NoParamCallback) => {
      disk.sync(`/proc/self/fd/${descriptor}`);
      real.fdatasync(descriptor, done);
    },
    { __promisify__: real.fdatasync.__promisify__ },
  );
  const open = async (path: string, flags: string) => {
    const file = await real.promises.open(path, flags);
    const sync = file.sync.bind(file);
    file.sync = () => {
      disk.sync(path);
      return sync();
    };
    return file;
  };
  // In one tick, so that no name changes while a disk is being looked at.
  const rename = async (from: string, to: string) => real.renameSync(from, to);
  const rm = async (path: string, options?: fs.RmOptions) => real.rmSync(path, options);
  return { ...real, fdatasync, promises: { ...real.promises, open, rename, rm } };
});

function loseWhatIsNotSynced(): VolatileDisk {
  const volatile = new VolatileDisk();
  disk.sync = (path) => volatile.sync(path);
  onTestFinished(() => {
    disk.sync = () => {};
  });
  return volatile;
}

/** Rows of 2 KiB, so that the store fills several segments. */
const DIMENSIONS = 512;
const KEYS = 600;
const FAILURES = 60;

/** Write n is entry n-0 of the log. */
interface Written {
  readonly key: string;
  /** What all components are; undefined: deleted. */
  readonly value: number | undefined;
}

class Writer {
  readonly written: Written[] = [];
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  write(store: Collection): void {
    const key = `key ${Math.floor(this.#random() * KEYS)}`;
    const value = this.#random() < 0.7 ? this.written.length : undefined;
    if (value === undefined) store.delete([Buffer.from(key)]);
    else
      store.insert(Buffer.from(key), new Float32Array(DIMENSIONS).fill(value), {
        attributes: `{"n":${value}}`,
      });
    this.written.push({ key, value });
    store.appliedId = `${this.written.length}-0`;
  }

  /** The contents after the write of that id. */
  contentsAt(id: string): [string, number][] {
    const state = new Map<string, number>();
    for (const { key, value } of this.written.slice(0, Number.parseInt(id, 10))) {
      if (value === undefined) state.delete(key);
      else state.set(key, value);
    }
    return [...state].sort();
  }
}

function contents(store: Collection): [string, number][] {
  const { keys } = store.scan(0, Number.MAX_SAFE_INTEGER);
  const read = (key: Uint8Array): [string, number] => {
    const vector = store.get(key)!;
    const [value] = vector;
    expect(vector.every((each) => each === value)).toBe(true);
    expect(store.getAttributes(key)).toBe(`{"n":${value}}`);
    return [Buffer.from(key).toString(), value!];
  };
  return keys.map(read).sort();
}

test("what a checkpoint covers survives the power, whatever else reached the disk", {
  timeout: 120_000,
}, async () => {
  const random = generator(testSeed());
  const volatile = loseWhatIsNotSynced();
  const directory = temporaryDirectory();
  await createFiles(directory, "c", resolveOptions({ dimensions: DIMENSIONS, metric: "L2", M: 4 }), "0-0");
  const store = await Collection.open(directory, () => {}, testIndex);
  const writer = new Writer(random);
  /** What must not be lost. */
  let confirmed = "0-0";
  const checkpoint = async () => {
    const { id } = await store.checkpoint();
    if (compareIds(id, confirmed) > 0) confirmed = id;
  };
  const works = [checkpoint, checkpoint, () => store.build(), () => store.compact()];
  let covered = 0;
  for (let failure = 0; failure < FAILURES; failure++) {
    for (let left = 20 + random() * 200; left > 0; left--) writer.write(store);
    const work = works[Math.floor(random() * works.length)]!();
    for (let turns = random() ** 2 * 60; turns > 0; turns--) await nextTurn();
    const atLeast = confirmed;
    const copy = temporaryDirectory();
    volatile.fail(directory, copy, random);
    const left = await Collection.open(copy, () => {}, testIndex);
    expect(compareIds(left.appliedId, atLeast)).toBeGreaterThanOrEqual(0);
    expect(contents(left)).toEqual(writer.contentsAt(left.appliedId));
    if (left.appliedId !== "0-0") covered++;
    await left.abandon();
    fs.rmSync(copy, { recursive: true });
    await work;
  }
  expect(covered).toBeGreaterThan(FAILURES / 2);
  await store.close();
});

test("a collection that was created is there after the power failed, one that was dropped is not", async () => {
  const random = generator(testSeed());
  const volatile = loseWhatIsNotSynced();
  const directory = temporaryDirectory();
  const catalog = await Catalog.open(directory);
  const namesLeft = async (): Promise<string[]> => {
    const copy = temporaryDirectory();
    volatile.fail(directory, copy, random);
    const left = await Catalog.open(copy, () => {});
    const names = left.collections().map(({ name }) => name);
    await left.close();
    return names.sort();
  };
  const names = new Set<string>();
  for (let change = 0; change < 40; change++) {
    const name = `c${Math.floor(random() * 5)}`;
    const before = [...names].sort();
    const work = names.delete(name)
      ? catalog.drop(name, `${change}-1`)
      : catalog.create(name, resolveOptions({ dimensions: 4, metric: "L2" }), `${change}-1`);
    if (!before.includes(name)) names.add(name);
    const after = [...names].sort();
    for (let turns = random() * 12; turns > 0; turns--) await nextTurn();
    expect([before, after]).toContainEqual(await namesLeft());
    await work;
    expect(await namesLeft()).toEqual(after);
  }
  await catalog.close();
});
