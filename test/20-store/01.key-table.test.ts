import fc from "fast-check";
import { expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { Nearest } from "../../src/engine/index/nearest.ts";
import { Bitmap } from "../../src/engine/slots/bitmap.ts";
import { murmur3 } from "../../src/engine/slots/hash.ts";
import { KeyTable, NONE } from "../../src/engine/slots/key-table.ts";

const latin1 = (key: Uint8Array) => Buffer.from(key).toString("latin1");

test("the key table behaves as a Map does", () => {
  // Few different keys, so that sets, updates and removals meet.
  const key = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 2 }).map((bytes) => bytes.map((byte) => byte % 8)),
    fc.uint8Array({ minLength: 1, maxLength: 1024 }),
  );
  const operation = fc.oneof(
    fc.record({ type: fc.constant("set" as const), key }),
    fc.record({ type: fc.constant("delete" as const), key }),
    fc.record({ type: fc.constant("find" as const), key }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 500 }), (operations) => {
      const table = new KeyTable();
      const model = new Map<string, number>();
      let slot = 0;
      for (const { type, key } of operations) {
        const expected = model.get(latin1(key)) ?? NONE;
        if (type === "find") expect(table.find(key)).toBe(expected);
        if (type === "delete") expect(table.delete(key)).toBe(expected);
        if (type === "set") expect(table.set(key, slot)).toBe(expected);
        if (type === "delete") model.delete(latin1(key));
        if (type === "set") model.set(latin1(key), slot++);
        expect(table.size).toBe(model.size);
      }
      for (const [name, slot] of model) {
        expect(table.find(Buffer.from(name, "latin1"))).toBe(slot);
        expect(latin1(table.keyOf(slot))).toBe(name);
      }
    }),
    { seed: testSeed(), numRuns: 200 },
  );
});

test("200,000 keys survive growth, removal of every third and insertion again", () => {
  const table = new KeyTable();
  const key = (i: number) => Buffer.from(`key:${i}`);
  const n = 200_000;
  for (let i = 0; i < n; i++) table.set(key(i), i);
  for (let i = 0; i < n; i += 3) expect(table.delete(key(i))).toBe(i);
  for (let i = 0; i < n; i++) if (table.find(key(i)) !== (i % 3 === 0 ? NONE : i)) expect.fail(`key ${i}`);
  for (let i = 0; i < n; i += 3) expect(table.set(key(i), n + i)).toBe(NONE);
  expect(table.size).toBe(n);
  expect(table.find(key(3))).toBe(n + 3);
  expect(table.keyOf(3).toString()).toBe("key:3"); // a dead slot still knows its key
});

test("the hash is MurmurHash3 x86_32", () => {
  expect(murmur3(Buffer.from(""), 0)).toBe(0);
  expect(murmur3(Buffer.from(""), 1)).toBe(0x514e28b7);
  expect(murmur3(Buffer.from("test"), 0)).toBe(0xba6bd213);
  expect(murmur3(Buffer.from("Hello, world!"), 0x9747b28c)).toBe(0x24884cba);
  expect(murmur3(Buffer.from("The quick brown fox jumps over the lazy dog"), 0x9747b28c)).toBe(0x2fa826cd);
});

test("the bitmap behaves as a Set does", () => {
  const random = generator(testSeed());
  const bitmap = new Bitmap();
  const model = new Set<number>();
  for (let i = 0; i < 5_000; i++) {
    const slot = Math.floor(random() * 3_000);
    const into = random() < 0.6;
    if (into) {
      bitmap.add(slot);
      model.add(slot);
    } else {
      bitmap.delete(slot);
      model.delete(slot);
    }
  }
  for (let slot = 0; slot < 4_000; slot++) expect(bitmap.has(slot)).toBe(model.has(slot));
  expect(bitmap.count).toBe(model.size);
});

test.each([0, 1, 31, 32, 33, 1_023, 1_024, 1_025])("a bitmap of the slots below %i", (length) => {
  const bitmap = Bitmap.below(length);
  expect(bitmap.count).toBe(length);
  for (let slot = 0; slot < length + 70; slot++) expect(bitmap.has(slot)).toBe(slot < length);
  bitmap.add(length + 5_000);
  expect(bitmap.has(length + 5_000)).toBe(true);
});

test("the k nearest are those a sort would give, ties by the lower slot", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 }),
      fc.integer({ min: 1, max: 50 }),
      (distances, k) => {
        const nearest = new Nearest(k);
        for (const [slot, distance] of [...distances.entries()].reverse()) nearest.offer(slot, distance);
        const sorted = [...distances.entries()].sort(([a, x], [b, y]) => x - y || a - b).slice(0, k);
        expect(nearest.sorted()).toEqual(sorted.map(([slot, distance]) => ({ slot, distance })));
      },
    ),
    { seed: testSeed() },
  );
});
