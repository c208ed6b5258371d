import * as fs from "node:fs";
import { describe, expect, test } from "vitest";
import { Catalog } from "../../src/engine/catalog.ts";
import { ControlFile } from "../../src/engine/disk/control-file.ts";
import { CONTROL_FORMAT } from "../../src/engine/disk/layout.ts";
import { seal } from "../../src/engine/disk/manifest.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { limits } from "../../src/limits.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const options = resolveOptions({ dimensions: 2 });
const one = new Float32Array([1, 2]);
const key = Buffer.from("k");

test("collections are created, listed, dropped, and are there after a restart", async () => {
  const directory = temporaryDirectory();
  let catalog = await Catalog.open(directory);
  await catalog.create("docs", options, "1-0");
  await catalog.create("Docs", options, "2-0");
  await catalog.create("../../etc", options, "3-0");
  catalog.get("docs").insert(key, one);
  expect(catalog.names()).toEqual(["../../etc", "Docs", "docs"]);
  await catalog.drop("Docs", "4-0");
  await catalog.close();

  catalog = await Catalog.open(directory);
  expect(catalog.names()).toEqual(["../../etc", "docs"]);
  expect(catalog.controlId).toBe("4-0");
  expect(catalog.get("docs").get(key)).toEqual(one);
  expect(() => catalog.get("Docs")).toThrow(expect.objectContaining({ code: "NOCOLLECTION" }));
  await catalog.close();
});

test("a name is taken until its collection is dropped", async () => {
  const catalog = await Catalog.open(temporaryDirectory());
  await catalog.create("docs", options, "1-0");
  await expect(catalog.create("docs", options, "2-0")).rejects.toMatchObject({ code: "COLLECTIONEXISTS" });
  await catalog.drop("docs", "3-0");
  await expect(catalog.drop("docs", "4-0")).rejects.toMatchObject({ code: "NOCOLLECTION" });
  expect((await catalog.create("docs", options, "5-0")).length).toBe(0);
  await catalog.close();
});

test("replaying the control log changes nothing that later entries decided", async () => {
  const catalog = await Catalog.open(temporaryDirectory());
  const first = await catalog.create("docs", options, "1-0");
  first.insert(key, one);
  expect(await catalog.create("docs", options, "1-0")).toBe(first);
  await catalog.drop("docs", "2-0");
  const second = await catalog.create("docs", options, "10-0");
  second.insert(key, one);
  expect(await catalog.create("docs", options, "1-0")).toBe(second);
  await catalog.drop("docs", "2-0");
  expect(catalog.get("docs")).toBe(second);
  expect(second.length).toBe(1);
  await catalog.close();
});

test("a new collection begins at the log id of its CREATE", async () => {
  const catalog = await Catalog.open(temporaryDirectory());
  const collection = await catalog.create("docs", options, "1700000000000-3");
  expect([collection.appliedId, collection.checkpointId]).toEqual(["1700000000000-3", "1700000000000-3"]);
  await catalog.close();
});

test("what a crash in the middle of CREATE or DROP leaves is removed", async () => {
  const directory = temporaryDirectory();
  await (await Catalog.open(directory)).close();
  for (const name of ["creating-docs", "dropped-5-0"]) {
    fs.mkdirSync(`${directory}/${name}`);
    fs.writeFileSync(`${directory}/${name}/keys.log`, "x");
  }
  for (const name of ["redis", "c-%zz"]) fs.mkdirSync(`${directory}/${name}`); // not ours to touch
  const catalog = await Catalog.open(directory);
  expect(catalog.names()).toEqual([]);
  await catalog.close();
  expect(fs.readdirSync(directory).sort()).toEqual(["LOCK", "c-%zz", "redis"]);
});

describe("entries of the control log that were applied side by side, one of them not to its end", () => {
  /** Entry 1 creates a, entry 2 drops b; the crash comes before 1 is done. */
  async function crashed(leave: (directory: string) => Promise<void>): Promise<Catalog> {
    const directory = temporaryDirectory();
    const before = await Catalog.open(directory);
    await before.create("b", options, "0-1");
    before.beginControl(["1-0", "2-0"]);
    await leave(directory);
    if (before.has("b") && fs.existsSync(`${directory}/c-b`)) await before.drop("b", "2-0");
    await before.close();
    return Catalog.open(directory);
  }

  test.each([
    ["the DROP was done", async () => {}],
    [
      "the DROP was cut short",
      async (directory: string) => fs.renameSync(`${directory}/c-b`, `${directory}/dropped-2-0`),
    ],
  ])("are replayed with the same answers: %s", async (_, leave) => {
    const catalog = await crashed(leave);
    expect([catalog.names(), catalog.controlId, catalog.dropId("b")]).toEqual([[], "0-1", "2-0"]);
    await catalog.create("a", options, "1-0");
    await catalog.drop("b", "2-0");
    await expect(catalog.drop("b", "3-0")).rejects.toMatchObject({ code: "NOCOLLECTION" });
    expect(catalog.names()).toEqual(["a"]);
    await catalog.close();
  });
});

describe("the DROPs of a store", () => {
  test("are remembered across restarts, the last of each name", async () => {
    const directory = temporaryDirectory();
    let catalog = await Catalog.open(directory);
    await catalog.adopt("store 1");
    for (const [created, dropped] of [
      ["1-0", "2-0"],
      ["3-0", "4-0"],
    ] as const) {
      await catalog.create("docs", options, created);
      await catalog.drop("docs", dropped);
    }
    await catalog.close();
    catalog = await Catalog.open(directory);
    expect([catalog.storeId, catalog.dropId("docs"), catalog.dropId("x")]).toEqual([
      "store 1",
      "4-0",
      undefined,
    ]);
    await catalog.adopt("store 2");
    await catalog.close();
    catalog = await Catalog.open(directory);
    expect([catalog.storeId, catalog.dropId("docs"), catalog.controlId]).toEqual([
      "store 2",
      undefined,
      "4-0",
    ]);
    await catalog.close();
  });

  test("are remembered when a crash came in between", async () => {
    const directory = temporaryDirectory();
    let catalog = await Catalog.open(directory);
    await catalog.create("docs", options, "1-0");
    await catalog.close();
    fs.renameSync(`${directory}/c-docs`, `${directory}/dropped-2-0`);
    catalog = await Catalog.open(directory);
    expect([catalog.names(), catalog.dropId("docs")]).toEqual([[], "2-0"]);
    await catalog.close();
  });

  test("are forgotten beyond the last 1,000", async () => {
    const control = await ControlFile.open(temporaryDirectory());
    for (let i = 1; i <= 1_001; i++) await control.mark(`${i}-0`, `c${i}`);
    expect([1, 2, 1_001].map((i) => control.dropId(`c${i}`))).toEqual([undefined, "2-0", "1001-0"]);
  });
});

test("a control file that makes no sense is damaged", async () => {
  const directory = temporaryDirectory();
  for (const content of [{}, { controlId: "x" }, { controlId: "1-0", drops: [["docs", "x"]] }]) {
    fs.writeFileSync(`${directory}/vstore.json`, seal(CONTROL_FORMAT, content));
    await expect(Catalog.open(directory)).rejects.toMatchObject({ code: "DAMAGED" });
  }
});

test("a damaged collection is refused by name, the others are served", async () => {
  const directory = temporaryDirectory();
  let catalog = await Catalog.open(directory);
  await catalog.create("bad", options, "1-0");
  (await catalog.create("good", options, "2-0")).insert(key, one);
  await catalog.close();
  fs.truncateSync(`${directory}/c-bad/keys.log`, 3);

  const warnings: object[] = [];
  catalog = await Catalog.open(directory, (message, details) => warnings.push({ message, ...details }));
  expect(warnings).toEqual([
    expect.objectContaining({ collection: "bad", reason: expect.stringContaining("keys.log at byte 3") }),
  ]);
  expect(catalog.names()).toEqual(["bad", "good"]);
  expect(() => catalog.get("bad")).toThrow(expect.objectContaining({ code: "DAMAGED" }));
  await expect(catalog.create("bad", options, "3-0")).rejects.toMatchObject({ code: "DAMAGED" });
  expect(catalog.get("good").length).toBe(1);
  await catalog.drop("bad", "4-0");
  expect(catalog.names()).toEqual(["good"]);
  await catalog.close();
});

test("a data directory has one owner at a time", async () => {
  const directory = temporaryDirectory();
  const catalog = await Catalog.open(directory);
  await expect(Catalog.open(directory)).rejects.toMatchObject({ code: "LOCKED" });
  await catalog.close();
  await (await Catalog.open(directory)).close();
});

test(`${limits.collectionsMax} collections and not one more`, { timeout: 300_000 }, async () => {
  const catalog = await Catalog.open(temporaryDirectory());
  for (let i = 0; i < limits.collectionsMax; i++) await catalog.create(`c${i}`, options, `${i + 1}-0`);
  await expect(catalog.create("more", options, "9999-0")).rejects.toMatchObject({ code: "LIMIT" });
  await catalog.drop("c7", "10000-0");
  await catalog.create("more", options, "10001-0");
  await catalog.close();
});
