/** A backup is the state of one checkpoint, whatever is written meanwhile; a half one is never taken for it. */
import * as fs from "node:fs";
import * as os from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { startSidecar, startVstore } from "../../harness/sidecar.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import { countedBytes } from "../../src/engine/disk/inventory.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { backup } from "../../src/engine/tools/backup.ts";
import { restore } from "../../src/engine/tools/restore.ts";
import { damagesOf, verify } from "../../src/engine/tools/verify.ts";
import {
  contents,
  damagesIn,
  dimensions,
  everything,
  filledDirectory,
  flip,
  key,
  vector,
} from "../harness/data-directory.ts";
import { temporaryDirectory } from "../harness/directory.ts";

/** Linux has a second file system to every user, unless the temporary directory is there too. */
const SHM = "/dev/shm";
const deviceOf = (path: string) => fs.statSync(path, { throwIfNoEntry: false })?.dev;
const hasOtherDisk = ![undefined, deviceOf(os.tmpdir())].includes(deviceOf(SHM));
if (!hasOtherDisk) console.log(`${SHM} is no other file system, so a backup to another one is not tested`);

const silent = () => {};
const target = () => `${temporaryDirectory()}/target`;

test("a backup restores to the same contents, and is whole", async () => {
  const directory = await filledDirectory();
  fs.writeFileSync(`${directory}/c-docs/segment-000009.vec`, "left by a crash");
  const [saved, restored] = [target(), target()];
  const report = await backup(directory, saved, silent);
  expect(report.map(({ name, live, appliedId }) => [name, live, appliedId])).toEqual([
    ["docs", 898, "900-0"],
    ["small", 10, "10-0"],
  ]);
  expect(await damagesIn(saved)).toEqual([]);
  expect(fs.existsSync(`${saved}/c-docs/segment-000009.vec`)).toBe(false);
  expect(await restore(saved, restored, silent)).toEqual(report);
  expect(await damagesIn(restored)).toEqual([]);
  expect(await everything(restored)).toEqual(await everything(directory));
});

test("files that are never written again are shared with a backup, and with nothing that was restored", async () => {
  const directory = await filledDirectory();
  const [saved, restored] = [target(), target()];
  await backup(directory, saved, silent);
  await restore(saved, restored, silent);
  const inode = (where: string, file: string) => fs.statSync(`${where}/c-docs/${file}`).ino;
  const shared = fs
    .readdirSync(`${saved}/c-docs`)
    .filter((file) => inode(saved, file) === inode(directory, file));
  const full = [0, 1, 2, 3].map((number) => `segment-00000${number}.vec`);
  expect(shared.sort()).toEqual(["columns-1.col", "index-1.hnsw", ...full]);
  const taken = fs
    .readdirSync(`${restored}/c-docs`)
    .filter((file) => inode(restored, file) === inode(saved, file));
  expect(taken).toEqual([]);
  // Holes would be a SIGBUS on a full disk.
  const last = fs.statSync(`${restored}/c-docs/segment-000004.vec`);
  expect(last.blocks * 512).toBeGreaterThanOrEqual(last.size);
});

test.skipIf(!hasOtherDisk)("on another file system, where no hard link leads, files are copied", async () => {
  const directory = await filledDirectory();
  const elsewhere = fs.mkdtempSync(`${SHM}/vstore-test-`);
  onTestFinished(() => fs.rmSync(elsewhere, { recursive: true }));
  const [saved, restored] = [`${elsewhere}/target`, target()];
  const report = await backup(directory, saved, silent);
  const files = fs.readdirSync(`${saved}/c-docs`);
  expect(files).toEqual(expect.arrayContaining(["index-1.hnsw", "segment-000000.vec"]));
  for (const file of files) {
    const stat = fs.lstatSync(`${saved}/c-docs/${file}`);
    expect([stat.isFile(), stat.nlink, stat.dev], file).toEqual([true, 1, deviceOf(SHM)]);
  }
  const expected = await everything(directory);
  fs.rmSync(directory, { recursive: true });
  expect(await damagesIn(saved)).toEqual([]);
  expect(await restore(saved, restored, silent)).toEqual(report);
  expect(await everything(restored)).toEqual(expected);
});

test("progress rises from nothing to all bytes that count", async () => {
  const directory = await filledDirectory();
  const [saved, restored] = [target(), target()];
  const calls: [done: number, total: number][][] = [[], [], []];
  const [backingUp, restoring, verifying] = calls.map((seen) => (...call: [number, number]) => {
    seen.push(call);
  });
  const report = await backup(directory, saved, backingUp!);
  await restore(saved, restored, restoring!);
  await verify(restored, verifying!);
  const all = report.reduce((sum, manifest) => sum + countedBytes(manifest), 0);
  for (const seen of calls) {
    const done = seen.map(([bytes]) => bytes);
    expect([done[0], done.at(-1)]).toEqual([0, all]);
    expect(done.length).toBeGreaterThan(5);
    for (const [i, bytes] of done.slice(1).entries()) expect(bytes).toBeGreaterThan(done[i]!);
    expect(new Set(seen.map(([, total]) => total))).toEqual(new Set([all]));
  }
});

test("a backup keeps its state while the store that it shares files with lives on", async () => {
  const directory = await filledDirectory();
  const saved = target();
  await backup(directory, saved, silent);
  const expected = await everything(directory);
  const catalog = await Catalog.open(directory);
  const docs = catalog.get("docs");
  docs.delete([key(1), key(2)]);
  for (let i = 0; i < 3_000; i++) docs.insert(key(i % 950), vector(i + 10_000));
  await catalog.drop("small", "99-0");
  await catalog.close();
  expect(await damagesIn(saved)).toEqual([]);
  const restored = target();
  await restore(saved, restored, silent);
  expect(await everything(restored)).toEqual(expected);
});

test("a backup during heavy writing is exactly one checkpoint", { timeout: 120_000 }, async () => {
  const directory = `${temporaryDirectory()}/data`;
  const catalog = await Catalog.open(directory);
  const docs = await catalog.create("docs", resolveOptions({ dimensions, metric: "L2", M: 4 }), "0-1");
  let stopped = false;
  const states = new Map<string, ReturnType<typeof contents>>();
  const writing = (async () => {
    for (let round = 0; !stopped; round++) {
      await docs.reserve(200);
      for (let i = 0; i < 100; i++) docs.insert(key((round * 37 + i) % 600), vector(round));
      docs.delete([key(round % 600)]);
      docs.setAttributes(key((round * 37 + 5) % 600), `{"round":${round}}`);
      docs.appliedId = `${round + 1}-0`;
      states.set(docs.appliedId, contents(docs));
      await docs.checkpoint();
      if (round % 5 === 2) await docs.compact();
      if (round % 4 === 0) {
        await catalog.create(`c${round}`, resolveOptions({ dimensions }), `${round + 1}-1`);
        await catalog.drop(`c${round}`, `${round + 1}-2`);
      }
    }
  })();
  for (let i = 0; i < 8; i++) {
    const [saved, restored] = [target(), target()];
    const found = (await backup(directory, saved, silent)).find(({ name }) => name === "docs")!;
    await restore(saved, restored, silent);
    const expected = states.get(found.appliedId) ?? [];
    expect((await everything(restored)).docs).toEqual(expected);
  }
  stopped = true;
  await writing;
  expect(states.size).toBeGreaterThan(8);
  await catalog.close();
});

test("a compacted collection is checked, copied and shared as any other", async () => {
  const directory = await filledDirectory();
  const catalog = await Catalog.open(directory);
  await catalog.get("docs").compact();
  const expected = contents(catalog.get("docs"));
  await catalog.close();
  expect(fs.readdirSync(`${directory}/c-docs`).sort()).toEqual(["MANIFEST.json", "generation-1"]);
  const [saved, restored] = [target(), target()];
  await backup(directory, saved, silent);
  await restore(saved, restored, silent);
  const report = await verify(restored, silent);
  expect([damagesOf(report), report.collections[0]!.leftovers]).toEqual([[], []]);
  expect((await everything(restored)).docs).toEqual(expected);
  flip(`${restored}/c-docs/generation-1/segment-000000.vec`, 5_000);
  expect(await damagesIn(restored)).toEqual([
    expect.objectContaining({ file: "c-docs/generation-1/segment-000000.vec" }),
  ]);
});

test("a backup of a serving sidecar, restored, is served once its gap in the log is given up", async () => {
  const env = { VSTORE_CHECKPOINT_INTERVAL_MS: "1000" };
  const vstore = await startVstore({ appendonly: "everysec" }, { dataDir: temporaryDirectory(), env });
  const redis = new Redis(vstore.url, { protocol: 2 });
  await redis.call("VSTORE.CREATE", "c", "DIM", 4, "METRIC", "L2");
  let written = 0;
  let stopped = false;
  const insertOne = (name: string, value: number) =>
    redis.call("VSTORE.INSERT", "c", name, "VALUES", 4, value, 1, 1, 1);
  const writing = (async () => {
    for (; !stopped; written++) await insertOne(`k${written}`, written);
  })();
  while (written < 500) await sleep(20);
  const [saved, restored] = [target(), target()];
  const [manifest] = await backup(vstore.sidecar.dataDir, saved, silent);
  stopped = true;
  await writing;
  await insertOne("between", 0);
  await redis.call("VSTORE.CHECKPOINT");
  while ((await redis.xlen("vstore:{c}:log")) > 0) await sleep(50);
  await restore(saved, restored, silent);
  const found = (await everything(restored)).c!.sort(([, a], [, b]) => a - b);
  // Keys were written in order, one after the other: a checkpoint is a beginning of them.
  expect(found).toHaveLength(manifest!.live);
  expect(found).toEqual(found.map((_, i) => [`k${i}`, i, undefined]));

  await insertOne("after", 1);
  await vstore.sidecar.kill();
  const sidecar = startSidecar({ redisUrl: vstore.url, dataDir: restored });
  await sidecar.waitLog("begins after");
  await redis.hdel("vstore:collections", "c");
  await sidecar.waitReady();
  expect(await redis.call("VSTORE.CARD", "c")).toBe(found.length + 1);
  expect(await redis.call("VSTORE.EXISTS", "c", "after", "between")).toBe(1);
  redis.disconnect();
  await sidecar.stop();
  await vstore.redis.stop();
});
