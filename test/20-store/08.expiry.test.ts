/**
 * Keys with deadlines against a plain Map, under two clocks that have nothing to do with each other: that of the log,
 * by which writes judge, and the wall clock, by which reads do.
 */
import * as fs from "node:fs";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { type Clock, latestTime } from "../../src/engine/clock.ts";
import { Collection } from "../../src/engine/collection.ts";
import { deadlineConditions } from "../../src/engine/generation/lifetimes.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { millisecondsOf } from "../../src/engine/log-id.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { DeadlineHeap } from "../../src/engine/slots/deadline-heap.ts";
import { SlotNumbers } from "../../src/engine/slots/slot-numbers.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const DIMENSIONS = 4;
const KEYS = 25;
const START = 1_000_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: START });
});
afterEach(() => {
  vi.useRealTimers();
});

const bytes = (key: string) => Buffer.from(key);
const text = (key: Uint8Array) => Buffer.from(key).toString();
const open = (directory: string, clock?: Clock) =>
  Collection.open(directory, (message) => expect.fail(message), testIndex, clock);

async function created(clock?: Clock): Promise<{ directory: string; store: Collection }> {
  const directory = temporaryDirectory();
  await createFiles(directory, "c", resolveOptions({ dimensions: DIMENSIONS, metric: "L2", M: 8 }), "0-0");
  return { directory, store: await open(directory, clock) };
}

interface Entry {
  readonly vector: Float32Array;
  readonly attributes: string | undefined;
  readonly deadline: number;
}

/** What the log says, and what each clock makes of it. */
class Model {
  readonly entries = new Map<string, Entry>();

  at(key: string, time: number): Entry | undefined {
    const entry = this.entries.get(key);
    return entry !== undefined && (entry.deadline === 0 || entry.deadline > time) ? entry : undefined;
  }

  visible(now: number): Map<string, Entry> {
    return new Map([...this.entries].filter(([key]) => this.at(key, now) !== undefined));
  }

  /** Of those that have expired the first `max`. */
  swept(max: number, time: number): string[] {
    const expired = [...this.entries].filter(([, { deadline }]) => deadline !== 0 && deadline <= time);
    // The order of insertion is that of slots; sorting keeps it where deadlines are equal.
    return expired
      .sort(([, a], [, b]) => a.deadline - b.deadline)
      .slice(0, max)
      .map(([key]) => key);
  }
}

/** One entry of a log: the same random numbers give the same write to a collection and to a model. */
function write(store: Collection, model: Model, time: number, random: () => number): void {
  const key = `key ${Math.floor(random() * KEYS)}`;
  const before = model.at(key, time);
  const kind = random();
  if (kind < 0.45) insert(store, model, key, time, random);
  else if (kind < 0.55) {
    expect(store.delete([bytes(key)], time)).toBe(before ? 1 : 0);
    model.entries.delete(key);
  } else if (kind < 0.65) {
    const attributes = random() < 0.2 ? "" : `{"n":${random()}}`;
    expect(store.setAttributes(bytes(key), attributes, time)).toBe(before !== undefined);
    if (before) model.entries.set(key, { ...before, attributes: attributes || undefined });
  } else if (kind < 0.85) expire(store, model, key, time, random);
  else if (kind < 0.92) {
    const had = before !== undefined && before.deadline !== 0;
    expect(store.lifetimes.persist(bytes(key), time)).toBe(had);
    if (had) model.entries.set(key, { ...before, deadline: 0 });
  } else {
    const max = 1 + Math.floor(random() * 4);
    const swept = model.swept(max, time);
    expect(store.lifetimes.sweep(max, time)).toBe(swept.length);
    for (const each of swept) model.entries.delete(each);
  }
  store.appliedId = `${time}-${Number(store.appliedId.split("-")[1]) + 1}`;
}

function insert(store: Collection, model: Model, key: string, time: number, random: () => number): void {
  const before = model.at(key, time);
  const deadline = random() < 0.6 ? time + 1 + Math.floor(random() * 60) : 0;
  const mode = ([undefined, undefined, "NX", "XX"] as const)[Math.floor(random() * 4)];
  const attributes = random() < 0.3 ? `{"n":${random()}}` : undefined;
  const vector = randomVector(random, DIMENSIONS);
  if (random() < 0.2) {
    expect(
      store.insertBatch([bytes(key), bytes(key)], Float32Array.of(...vector, ...vector), undefined, time),
    ).toBe(before ? 0 : 1);
    model.entries.delete(key);
    model.entries.set(key, { vector, attributes: before?.attributes, deadline: 0 });
    return;
  }
  const isRefused = mode === (before ? "NX" : "XX");
  const answer = isRefused ? null : before === undefined;
  expect(store.insert(bytes(key), vector, { mode, attributes, deadline }, time)).toBe(answer);
  if (isRefused) return;
  model.entries.delete(key); // a new slot
  model.entries.set(key, { vector, attributes: attributes ?? before?.attributes, deadline });
}

function expire(store: Collection, model: Model, key: string, time: number, random: () => number): void {
  const before = model.at(key, time);
  const deadline = time - 5 + Math.floor(random() * 60);
  const condition = [undefined, ...deadlineConditions][Math.floor(random() * 5)];
  const current = before?.deadline || Number.POSITIVE_INFINITY;
  const isMet =
    condition === undefined ||
    {
      NX: before?.deadline === 0,
      XX: before?.deadline !== 0,
      GT: deadline > current,
      LT: deadline < current,
    }[condition];
  const isDone = before !== undefined && isMet;
  expect(store.lifetimes.expire(bytes(key), deadline, condition, time)).toBe(isDone);
  if (!isDone) return;
  if (deadline <= time) model.entries.delete(key);
  else model.entries.set(key, { ...before, deadline });
}

async function check(store: Collection, model: Model, now: number, random: () => number): Promise<void> {
  const visible = model.visible(now);
  const { keys } = store.scan(0, Number.MAX_SAFE_INTEGER);
  expect(keys.map(text).sort()).toEqual([...visible.keys()].sort());
  expect(store.length).toBe(visible.size);
  const withDeadline = [...model.entries.values()].filter(({ deadline }) => deadline !== 0).length;
  expect(store.lifetimes.expiring).toBe(withDeadline);
  expect(store.lifetimes.expired).toBe(model.entries.size - visible.size);
  for (let i = 0; i < KEYS; i++) checkKey(store, `key ${i}`, visible.get(`key ${i}`), now);
  const query = randomVector(random, DIMENSIONS);
  const k = 1 + Math.floor(random() * KEYS);
  const distances = [...visible.values()].map(({ vector }) =>
    Math.hypot(...Array.from(vector, (x, at) => x - query[at]!)),
  );
  const nearest = distances.sort((a, b) => a - b).slice(0, k);
  for (const exact of [true, false]) {
    const hits = await store.search(query, { k, exact, ef: 100 });
    expect(hits.map(({ distance }) => distance)).toEqual(nearest.map((each) => expect.closeTo(each, 5)));
    for (const { key } of hits) expect(visible.has(text(key))).toBe(true);
  }
}

function checkKey(store: Collection, name: string, entry: Entry | undefined, now: number): void {
  const key = bytes(name);
  expect(store.has(key)).toBe(entry !== undefined);
  expect(store.get(key)).toEqual(entry?.vector);
  expect(store.getAttributes(key)).toBe(entry?.attributes);
  const left = entry && (entry.deadline === 0 ? Number.POSITIVE_INFINITY : entry.deadline - now);
  expect(store.lifetimes.left(key)).toBe(left);
}

test("any sequence of writes, under clocks that run apart, gives what a plain model gives", async () => {
  const random = generator(testSeed());
  for (let run = 0; run < 12; run++) {
    const clock = latestTime();
    const { directory, store: first } = await created(clock);
    let store = first;
    const model = new Model();
    let [time, wall] = [START, START];
    for (let step = 0; step < 120; step++) {
      time += Math.floor(random() * 8);
      // Often ahead of the log or behind it, and sometimes set back.
      wall = random() < 0.1 ? time - 50 : Math.max(wall, time) + Math.floor(random() * 12) - 4;
      vi.setSystemTime(wall);
      write(store, model, time, random);
      const what = random();
      if (what < 0.05) await store.build();
      else if (what < 0.1) await store.checkpoint();
      else if (what < 0.15) await store.compact();
      else if (what < 0.2) {
        await store.close();
        store = await open(directory, clock);
      }
      if (what > 0.6) continue;
      await check(store, model, clock(), random);
    }
    await store.close();
  }
});

/** The manifest first: files only grow, so what it names is whole in whatever is copied after it. */
function crash(directory: string): string {
  const copy = temporaryDirectory();
  const names = fs.readdirSync(directory).filter((name) => !name.endsWith(".tmp"));
  names.sort((a, b) => Number(b === "MANIFEST.json") - Number(a === "MANIFEST.json"));
  for (const name of names) fs.cpSync(`${directory}/${name}`, `${copy}/${name}`, { recursive: true });
  return copy;
}

test("a replay after a crash gives the same keys and deadlines, whatever the clock says by then", async () => {
  const random = generator(testSeed());
  for (let run = 0; run < 6; run++) {
    const { directory, store } = await created();
    const log = Array.from({ length: 300 }, (_, i) => ({
      time: START + 3 * i,
      seed: Math.floor(random() * 2 ** 31),
    }));
    const checkpointAt = Math.floor(random() * log.length);
    const model = new Model();
    let copy = "";
    const atCheckpoint = new Model();
    for (const [i, { time, seed }] of log.entries()) {
      vi.setSystemTime(START + Math.floor(random() * 2_000));
      if (random() < 0.1) void store.length; // hides by the wall clock
      write(store, model, time, generator(seed));
      if (i !== checkpointAt) continue;
      if (run % 2 === 0) await store.compact();
      await store.checkpoint();
      copy = crash(directory);
      for (const [key, entry] of model.entries) atCheckpoint.entries.set(key, entry);
    }
    vi.setSystemTime(START + 100_000); // everything with a deadline is over by now
    const again = await open(copy);
    for (const { time, seed } of log.slice(checkpointAt + 1))
      write(again, atCheckpoint, time, generator(seed));
    expect(atCheckpoint.entries).toEqual(model.entries);
    expect(again.length).toBe(store.length);
    expect([again.lifetimes.expiring, again.lifetimes.expired]).toEqual([
      store.lifetimes.expiring,
      store.lifetimes.expired,
    ]);
    await Promise.all([store.close(), again.close()]);
  }
});

test("a write that comes late makes a hidden key visible again, to the index too", async () => {
  const { store } = await created();
  const random = generator(1);
  const vectors = Array.from({ length: 3_000 }, () => randomVector(random, DIMENSIONS));
  for (const [i, vector] of vectors.entries()) {
    const deadline = [4, 6].includes(i % 10) ? START + 10 : 0; // so few that the graph is worth asking
    store.insert(bytes(`k${i}`), vector, { deadline }, START);
  }
  await store.build();
  const nearest = async (i: number) => text((await store.search(vectors[i]!, { k: 1 }))[0]!.key);
  expect(await nearest(4)).toBe("k4");
  vi.setSystemTime(START + 10);
  expect(await nearest(4)).not.toBe("k4");
  expect(await store.search(vectors[4]!, { k: 3_000 })).toHaveLength(2_400);
  store.lifetimes.persist(bytes("k4"), START + 9);
  store.lifetimes.expire(bytes("k6"), START + 1_000, undefined, START + 9);
  expect(await nearest(4)).toBe("k4");
  expect(await nearest(6)).toBe("k6");
  expect(await nearest(5)).toBe("k5");
  expect(store.length).toBe(2_402);
  await store.close();
});

test("a search under way while keys expire and are swept finds none that had expired when it began", async () => {
  const { store } = await created();
  const random = generator(2);
  const keys = Array.from({ length: 3_000 }, (_, i) => bytes(`k${i}`));
  for (const [i, key] of keys.entries()) {
    store.insert(key, randomVector(random, DIMENSIONS), { deadline: i < 1_000 ? START + 5 : 0 }, START);
  }
  vi.setSystemTime(START + 5);
  const found = store.search(new Float32Array(DIMENSIONS), { k: 3_000, exact: true });
  await Promise.resolve();
  expect(store.lifetimes.sweep(5_000, START + 5)).toBe(1_000);
  const hits = await found;
  expect(hits).toHaveLength(2_000);
  expect(hits.every(({ key }) => Number(text(key).slice(1)) >= 1_000)).toBe(true);
  await store.close();
});

test("a clock that is set back brings no expired key back, before the sweep or after", async () => {
  const { store, directory } = await created();
  store.insert(bytes("a"), new Float32Array(DIMENSIONS), { deadline: START + 10 }, START);
  vi.setSystemTime(START + 10);
  expect(store.has(bytes("a"))).toBe(false);
  vi.setSystemTime(START - 1_000);
  expect(store.has(bytes("a"))).toBe(false);
  await store.compact();
  expect([store.has(bytes("a")), store.length, store.lifetimes.expired]).toEqual([false, 0, 1]);
  store.lifetimes.sweep(10, START + 10);
  store.appliedId = `${START + 10}-0`;
  await store.close();
  const again = await open(directory);
  expect([again.length, again.lifetimes.expiring]).toEqual([0, 0]);
  await again.close();
});

test("compaction keeps deadlines, also those that change while it runs", async () => {
  const { store, directory } = await created();
  for (let i = 0; i < 3_000; i++) {
    store.insert(bytes(`k${i}`), new Float32Array(DIMENSIONS).fill(i), { deadline: START + 100 + i }, START);
  }
  for (let i = 0; i < 1_000; i++) store.delete([bytes(`k${i}`)], START);
  const compacting = store.compact();
  for (let i = 1_000; i < 3_000; i += 4) {
    await Promise.resolve();
    store.lifetimes.persist(bytes(`k${i}`), START);
    store.lifetimes.expire(bytes(`k${i + 1}`), START + 50_000 + i, undefined, START);
  }
  await compacting;
  store.appliedId = `${START}-1`;
  await store.close();
  const again = await open(directory);
  const expected = (i: number) => [Number.POSITIVE_INFINITY, 50_000 + i - 1, 100 + i, 100 + i][i % 4];
  for (let i = 1_000; i < 3_000; i++) expect(again.lifetimes.left(bytes(`k${i}`))).toBe(expected(i));
  expect(again.lifetimes.expiring).toBe(1_500);
  await again.close();
});

test("many keys that expire in one moment are hidden in slices", async () => {
  const { store } = await created();
  const count = 200_000;
  const vectors = new Float32Array(1_000 * DIMENSIONS).fill(1);
  for (let i = 0; i < count; i += 1_000) {
    const keys = Array.from({ length: 1_000 }, (_, at) => bytes(`k${i + at}`));
    store.insertBatch(keys, vectors, undefined, START);
    for (const key of keys) store.lifetimes.expire(key, START + 10, undefined, START);
  }
  vi.setSystemTime(START + 10);
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  await store.lifetimes.hideExpired();
  clearInterval(timer);
  expect(turns).toBeGreaterThan(3);
  expect([store.length, store.lifetimes.expired]).toEqual([0, count]);
  await store.close();
});

test("the heap gives slots in the order of their deadlines, whatever leaves it in between", () => {
  const random = generator(testSeed());
  const deadlines = new SlotNumbers(Float64Array);
  const heap = new DeadlineHeap(deadlines);
  const there = new Set<number>();
  for (let i = 0; i < 5_000; i++) {
    const slot = Math.floor(random() * 300) * 1_000;
    if (there.has(slot)) heap.delete(slot);
    else deadlines.set(slot, 1 + Math.floor(random() * 50));
    if (there.delete(slot)) continue;
    heap.add(slot);
    there.add(slot);
    const first = [...there].sort((a, b) => deadlines.get(a) - deadlines.get(b) || a - b)[0];
    expect(heap.top).toBe(first);
    expect(heap.size).toBe(there.size);
  }
});

test("the time of an id", () => {
  expect(millisecondsOf("1763829600000-7")).toBe(1_763_829_600_000);
  expect(millisecondsOf("18446744073709551615-0")).toBe(2 ** 64);
});
