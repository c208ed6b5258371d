/** A checkpoint that is held and read while its collection goes on, and the files that arrive of it. */
import { existsSync, mkdirSync, readdirSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import type { Collection } from "../../src/engine/collection.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { Arrival } from "../../src/engine/snapshots/arrival.ts";
import { HeldCheckpoint } from "../../src/engine/snapshots/held-checkpoint.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const dimensions = 64;
const pieceBytes = 100_000;
const random = generator(testSeed());

async function openCatalog(directory = temporaryDirectory()): Promise<Catalog> {
  const catalog = await Catalog.open(directory);
  onTestFinished(() => catalog.close().catch(() => {}));
  return catalog;
}

function insert(collection: Collection, from: number, to: number): void {
  for (let i = from; i < to; i++)
    collection.insert(Buffer.from(`k${i}`), randomVector(random, dimensions), {
      attributes: i % 3 === 0 ? `{"n":${i}}` : undefined,
    });
}

/** A collection with a checkpoint, an index and attributes, and that checkpoint, held. */
async function held(): Promise<{ catalog: Catalog; checkpoint: HeldCheckpoint }> {
  const catalog = await openCatalog();
  const collection = await catalog.create("c", resolveOptions({ dimensions }), "1-0");
  insert(collection, 0, 2_000);
  collection.delete([Buffer.from("k7")]);
  collection.appliedId = "5-0";
  await collection.build();
  await collection.checkpoint();
  const checkpoint = await HeldCheckpoint.hold(catalog.directory, "c");
  onTestFinished(() => checkpoint.close().catch(() => {}));
  return { catalog, checkpoint };
}

async function take(arrival: Arrival, checkpoint: HeldCheckpoint, end = checkpoint.bytes): Promise<void> {
  while (arrival.position < end) await arrival.add(await checkpoint.read(arrival.position, pieceBytes));
}

async function arrive(catalog: Catalog, checkpoint: HeldCheckpoint): Promise<void> {
  const arrival = await Arrival.begin(catalog.directory, "c", "copy", checkpoint.manifest);
  await take(arrival, checkpoint);
  await arrival.finish();
}

const facts = ({ length, rows, appliedId }: Collection) => ({ length, rows, appliedId });

test("it stays as it was while the collection is written to, compacted and dropped", async () => {
  const { catalog, checkpoint } = await held();
  const collection = catalog.get("c");
  const vector = collection.get(Buffer.from("k8"))!.slice();
  const before = facts(collection);
  insert(collection, 1_000, 3_000);
  collection.appliedId = "6-0";
  await collection.compact();
  await collection.checkpoint();
  await catalog.drop("c", "9-0");
  const other = await openCatalog();
  await arrive(other, checkpoint);
  await other.replace("c");
  const copy = other.get("c");
  expect(facts(copy)).toEqual(before);
  expect(copy.get(Buffer.from("k8"))).toEqual(vector);
  expect(copy.getAttributes(Buffer.from("k9"))).toBe('{"n":9}');
  expect(copy.has(Buffer.from("k7"))).toBe(false);
  expect((await copy.search(vector, { k: 1, ef: 10 }))[0]!.key).toEqual(Buffer.from("k8"));
  insert(copy, 2_000, 2_100);
  await copy.checkpoint();
  await other.close();
  expect(facts((await openCatalog(other.directory)).get("c")).length).toBe(before.length + 100);
});

test("files that have arrived take the place of those that are there", async () => {
  const { checkpoint } = await held();
  const catalog = await openCatalog();
  const old = await catalog.createLike("c", resolveOptions({ dimensions }), "1-0");
  insert(old, 0, 10);
  await old.checkpoint();
  await arrive(catalog, checkpoint);
  await catalog.replace("c");
  expect(facts(catalog.get("c"))).toEqual({ length: 1_999, rows: 2_000, appliedId: "5-0" });
  expect(readdirSync(catalog.directory).sort()).toEqual(["LOCK", "c-c"]);
});

test("what has arrived outlives its process, wherever that ends", async () => {
  const { catalog, checkpoint } = await held();
  const directory = temporaryDirectory();
  let arrival = await Arrival.begin(directory, "c", "copy", checkpoint.manifest);
  for (let end = 0; end < checkpoint.bytes; end += 217_000) {
    await take(arrival, checkpoint, Math.min(end, checkpoint.bytes));
    const { position } = arrival;
    await arrival.close();
    arrival = (await Arrival.resume(directory, "c"))!;
    expect([arrival.copy, arrival.position]).toEqual(["copy", position]);
  }
  await take(arrival, checkpoint);
  await arrival.finish();
  expect(await Arrival.resume(directory, "c")).toBeUndefined(); // whole: nothing is arriving
  renameSync(`${directory}/receiving-c`, `${directory}/c-c`);
  expect(facts((await openCatalog(directory)).get("c"))).toEqual(facts(catalog.get("c")));
});

test("what is not what the manifest says is refused: a file, too many bytes, the manifest itself", async () => {
  const { checkpoint } = await held();
  const directory = temporaryDirectory();
  const bytes = await checkpoint.read(0, checkpoint.bytes);
  const arrival = await Arrival.begin(directory, "c", "copy", checkpoint.manifest);
  const spoilt = Buffer.from(bytes);
  spoilt[spoilt.length - 10]! ^= 1; // of attributes.log
  await expect(arrival.add(spoilt)).rejects.toThrow(/attributes\.log .*has checksum/);
  await arrival.discard();
  expect(existsSync(`${directory}/receiving-c`)).toBe(false);
  const again = await Arrival.begin(directory, "c", "copy", checkpoint.manifest);
  await expect(again.add(Buffer.concat([bytes, bytes]))).rejects.toThrow("more bytes than");
  await again.discard();
  const other = { ...checkpoint.manifest, slots: 1 };
  await expect(Arrival.begin(directory, "c", "copy", other)).rejects.toThrow(
    "2000 rows in its segments for 1",
  );
  await expect(Arrival.begin(directory, "d", "copy", checkpoint.manifest)).rejects.toThrow(
    "another collection",
  );
});

test("a damaged note of what arrives, or a file that ended earlier, costs only what it was about", async () => {
  const { checkpoint } = await held();
  const directory = temporaryDirectory();
  const arrival = await Arrival.begin(directory, "c", "copy", checkpoint.manifest);
  await take(arrival, checkpoint);
  await arrival.close();
  truncateSync(`${directory}/receiving-c/attributes.log`, 100);
  const resumed = (await Arrival.resume(directory, "c"))!;
  expect(resumed.bytes - resumed.position).toBe(checkpoint.manifest.attributes.bytes - 100);
  await resumed.close();
  writeFileSync(`${directory}/receiving-c/ARRIVAL.json`, "{}");
  expect(await Arrival.resume(directory, "c")).toBeUndefined();
});

test("a crash in the middle of a replacement leaves the old files, or the new ones", async () => {
  const { catalog } = await held();
  const { directory } = catalog;
  await catalog.close();
  renameSync(`${directory}/c-c`, `${directory}/replaced-c`);
  const first = await openCatalog(directory);
  expect(first.get("c").length).toBe(1_999);
  await first.close();
  mkdirSync(`${directory}/replaced-c`);
  mkdirSync(`${directory}/receiving-c`);
  mkdirSync(`${directory}/receiving-d`);
  const second = await openCatalog(directory);
  expect(second.get("c").length).toBe(1_999);
  expect(existsSync(`${directory}/replaced-c`)).toBe(false);
  await second.forgetArrivals("c");
  expect(readdirSync(directory).filter((entry) => entry.startsWith("receiving"))).toEqual(["receiving-c"]);
});
