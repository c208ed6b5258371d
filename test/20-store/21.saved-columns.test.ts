/**
 * Columns are saved with a collection and serve at once after a start. What was written since is taken over, a file
 * that is not whole is built again, and no answer depends on either.
 */
import * as fs from "node:fs";
import { expect, test } from "vitest";
import { testIndex } from "../../harness/index-choice.ts";
import { generator, testSeed } from "../../harness/random.ts";
import { Collection } from "../../src/engine/collection.ts";
import { crc32 } from "../../src/engine/disk/checksum.ts";
import { readManifest } from "../../src/engine/disk/manifest.ts";
import { expressionOf } from "../../src/engine/filter/expressions.ts";
import { createFiles } from "../../src/engine/generation/recovery.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { Bitmap } from "../../src/engine/slots/bitmap.ts";
import { Columns } from "../../src/engine/slots/columns.ts";
import { loadColumns, saveColumns } from "../../src/engine/slots/columns-file.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const random = generator(testSeed());
const below = (n: number) => Math.floor(random() * n);
const KEYS = 1_200;

const FILTERS = [
  ".n < 30",
  ".colour == 'red' and .ok",
  "'a' in .tags",
  ".o.deep? == null",
  ".price > 0.5",
  ".huge > 10 or .huge < 0",
  ".long == .colour",
  ".gone",
  "1",
];

function attributes(): string {
  if (random() < 0.1) return "";
  const fields = {
    n: below(100),
    ok: random() < 0.5,
    colour: ["red", "green", null, "ü\u0000€"][below(4)],
    tags: ["a", "b", 7, ["c"]].filter(() => random() < 0.5),
    price: random(),
    ...(random() < 0.5 && { o: { deep: below(5) } }),
    ...(random() < 0.2 && { long: random() < 0.5 ? "x".repeat(400) : "red" }),
  };
  // JSON.stringify has no way to write these.
  const huge = ["1e999", "-1e999", "-0", "[1e999]", "[null]", "5"][below(6)];
  return `${JSON.stringify(fields).slice(0, -1)},"huge":${huge}}`;
}

class Fixture {
  readonly directory: string;
  readonly warnings: string[] = [];
  readonly texts = new Map<string, string>();
  collection!: Collection;

  constructor(directory = temporaryDirectory()) {
    this.directory = directory;
  }

  static async create(): Promise<Fixture> {
    const fixture = new Fixture();
    await createFiles(fixture.directory, "c", resolveOptions({ dimensions: 2, metric: "L2" }), "0-0");
    await fixture.open();
    for (let i = 0; i < KEYS; i++) fixture.insert(`key ${i}`);
    return fixture;
  }

  async open(): Promise<void> {
    const warn = (message: string, details?: object) =>
      this.warnings.push(`${message} ${JSON.stringify(details)}`);
    this.collection = await Collection.open(this.directory, warn, testIndex);
  }

  async reopen(): Promise<void> {
    await this.collection.close();
    await this.open();
  }

  insert(key: string): void {
    const text = attributes();
    this.collection.insert(Buffer.from(key), Float32Array.of(random(), 1), { attributes: text });
    this.texts.set(key, text);
  }

  change(): void {
    const key = `key ${below(KEYS + 100)}`;
    if (random() < 0.5 || !this.texts.has(key)) {
      this.insert(key);
      return;
    }
    const text = attributes();
    this.collection.setAttributes(Buffer.from(key), text);
    this.texts.set(key, text);
  }

  /** Every filter finds what a plain look at all texts finds. */
  async check(): Promise<void> {
    for (const filter of FILTERS) {
      const expression = expressionOf(filter);
      const slots = await this.collection.matching.slots(filter);
      const found = this.collection.scan(0, 100_000, slots).keys.map((key) => Buffer.from(key).toString());
      const wanted = [...this.texts].filter(
        ([, text]) => text !== "" && expression.matches(JSON.parse(text)),
      );
      expect(found.sort(), filter).toEqual(wanted.map(([key]) => key).sort());
    }
  }

  get fields(): unknown {
    return this.collection.stats().filter_fields;
  }

  /** The file of columns. */
  get file(): string {
    return `${this.directory}/${fs.readdirSync(this.directory).find((name) => name.endsWith(".col"))}`;
  }
}

test("after a start they are there at once, and what is written later too", async () => {
  const fixture = await Fixture.create();
  for (let round = 0; round < 3; round++) {
    await fixture.reopen();
    expect(fixture.fields).toBe(8);
    await fixture.check();
    for (let i = 0; i < 200; i++) fixture.change();
    await fixture.check();
  }
  await fixture.collection.compact();
  await fixture.check();
  await fixture.reopen();
  await fixture.check();
  await fixture.collection.close();
  expect(fixture.warnings).toEqual([]);
});

test("what a checkpoint covers beyond them is taken over after a crash", async () => {
  const fixture = await Fixture.create();
  await fixture.reopen();
  for (let i = 0; i < 100; i++) fixture.change();
  await fixture.collection.checkpoint();
  const crashed = new Fixture(`${temporaryDirectory()}/crashed`);
  fs.cpSync(fixture.directory, crashed.directory, { recursive: true });
  const { columns, attributes } = await readManifest(crashed.directory);
  expect(columns!.attributesBytes).toBeLessThan(attributes.bytes);
  for (const [key, text] of fixture.texts) crashed.texts.set(key, text);
  await fixture.collection.abandon();
  await crashed.open();
  expect(crashed.fields).toBe(8);
  await crashed.check();
  await crashed.collection.close();
  expect(crashed.warnings).toEqual([]);
});

test.each<[string, (path: string) => void, string]>([
  ["missing", (path) => fs.rmSync(path), "ENOENT"],
  ["empty", (path) => fs.truncateSync(path, 0), "not a file of columns"],
  ["cut short", (path) => fs.truncateSync(path, 1_000), "1000 bytes, expected"],
  ["longer", (path) => fs.appendFileSync(path, "x"), "bytes, expected"],
  ["of another format", (path) => overwrite(path, 0, "VSTORKEY"), "not a file of columns"],
  ["of a later version", (path) => overwrite(path, 8, "\x09"), "format version 9"],
  ["changed by one bit", (path) => overwrite(path, 5_000, "\xff"), "checksum"],
])("a file that is %s is built again with a warning", async (_, damage, reason) => {
  const fixture = await Fixture.create();
  await fixture.collection.close();
  damage(fixture.file);
  await fixture.open();
  expect(fixture.warnings).toHaveLength(1);
  expect(fixture.warnings[0]).toContain("the saved columns cannot be used and are built again");
  expect(fixture.warnings[0]).toContain(reason);
  await fixture.check();
  await fixture.reopen();
  expect(fixture.fields).toBe(8);
  expect(fixture.warnings).toHaveLength(1);
  await fixture.check();
  await fixture.collection.close();
});

function overwrite(path: string, at: number, text: string): void {
  const file = fs.openSync(path, "r+");
  fs.writeSync(file, Buffer.from(text, "latin1"), 0, text.length, at);
  fs.closeSync(file);
}

test("writes may go on while they are saved", async () => {
  const directory = temporaryDirectory();
  const columns = new Columns();
  const set = (slot: number) => columns.set(slot, { n: slot % 300, name: `name ${slot % 900}`, x: random() });
  for (let slot = 0; slot < 40_000; slot++) set(slot);
  const saving = saveColumns(directory, columns, () => 50_000, 16, undefined);
  const changed = new Set<number>();
  let isSaving = true;
  void saving.finally(() => {
    isSaving = false;
  });
  for (; isSaving; await new Promise(setImmediate)) {
    for (let i = 0; i < 50; i++) {
      const slot = below(50_000);
      changed.add(slot);
      if (random() < 0.3) columns.set(slot, undefined);
      else set(slot);
    }
  }
  const loaded = (await loadColumns(directory, await saving, (_, details) =>
    expect.fail(JSON.stringify(details)),
  ))!;
  const differs = (slot: number) =>
    ["n", "name", "x"].some((name) => {
      const [saved, kept] = [loaded.of([name])!.get(slot), columns.of([name])!.get(slot)];
      return JSON.stringify(saved) !== JSON.stringify(kept);
    });
  const slots = Array.from({ length: 40_000 }, (_, slot) => slot);
  expect(slots.filter((slot) => !changed.has(slot) && differs(slot))).toEqual([]);
  expect(changed.size).toBeGreaterThan(0);
});

test("a file whose checksum is right but whose content makes no sense is built again", async () => {
  const directory = temporaryDirectory();
  const columns = new Columns(Bitmap.below(3));
  for (let slot = 0; slot < 3; slot++) columns.set(slot, { n: slot });
  const saved = await saveColumns(directory, columns, () => 3, 16, undefined);
  const path = `${directory}/${saved.file}`;
  const frameAt = 16;
  for (const [at, text] of [
    [frameAt, "\x63"],
    [frameAt + 12, "\xff\xff\xff"],
    [frameAt + 16, "\x30"],
  ] as const) {
    const whole = fs.readFileSync(path);
    overwrite(path, at, text);
    const warnings: string[] = [];
    const checksum = crc32(fs.readFileSync(path));
    const loaded = await loadColumns(directory, { ...saved, checksum }, (message) => warnings.push(message));
    expect(loaded).toBeUndefined();
    expect(warnings).toHaveLength(1);
    fs.writeFileSync(path, whole);
  }
});
