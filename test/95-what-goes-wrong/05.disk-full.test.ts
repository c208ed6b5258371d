/** A data directory on a disk of a few MiB, and data directories that cannot be used at all. */

import { chmodSync, chownSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../harness/directory.ts";
import { fillUp, MIB, mountDisk, mountFault, resizeDisk } from "../harness/disk.ts";
import { fp32Of } from "../harness/fp32.ts";
import { served } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

const DIMENSIONS = 256;
const INTERVAL_MS = 1_000;

const isRoot = process.getuid?.() === 0;

const stage = eachTestOnStage({ appendonly: "everysec" });
const start = (dataDir: string, checkpointIntervalMs = INTERVAL_MS, through: string[] = []) =>
  stage.join({ dataDir, checkpointIntervalMs, through });

const vector = (i: number) => fp32Of(new Float32Array(DIMENSIONS).fill(i));
const create = (name = "c") => stage.redis.call("VSTORE.CREATE", name, "DIM", DIMENSIONS, "METRIC", "L2");
const insert = (i: number) => stage.redis.call("VSTORE.INSERT", "c", `k${i}`, "FP32", vector(i));

const BATCH = 100;

function insertMany(from: number): Promise<unknown> {
  const numbers = Array.from({ length: BATCH }, (_, i) => from + i);
  const keys = numbers.map((i) => `k${i}`);
  return stage.redis.call("VSTORE.MINSERT", "c", BATCH, ...keys, "FP32", Buffer.concat(numbers.map(vector)));
}

/** True if it was acknowledged; any refusal but that of a full disk is an error. */
async function isTaken(write: Promise<unknown>): Promise<boolean> {
  const refusal = await write.then(
    () => undefined,
    (error: Error) => error.message,
  );
  if (refusal !== undefined) expect(refusal).toMatch(/^FULL the disk of the data directory is full/);
  return refusal === undefined;
}

/** Inserts until the disk is full, the last ones one by one; returns how many were acknowledged. */
async function insertUntilFull(from = 0): Promise<number> {
  let count = from;
  while (await isTaken(insertMany(count))) count += BATCH;
  while (await isTaken(insert(count))) count++;
  return count;
}

async function expectAll(count: number): Promise<void> {
  expect(await served(stage.redis, "VSTORE.CARD", "c")).toBe(count);
  for (let i = 0; i < count; i += 97) {
    const found = await stage.redis.callBuffer("VSTORE.GET", "c", `k${i}`, "RAW");
    expect(vector(i).equals(found as Buffer), `k${i}`).toBe(true);
  }
  const last = await stage.redis.call("VSTORE.SEARCH", "c", "FP32", vector(count - 1), "COUNT", 1);
  expect(last).toEqual([`k${count - 1}`]);
}

describe.skipIf(mountFault !== undefined)("a full disk", () => {
  test("answers FULL to writers; reads go on, and writes once there is room", async () => {
    const dataDir = mountDisk(12 * MIB);
    const sidecar = start(dataDir);
    await sidecar.waitReady();
    await create();
    const count = await insertUntilFull();
    console.log(`12 MiB took ${count} vectors of 1 KiB`);
    expect(count).toBeGreaterThan(5_000);
    await expectAll(count);
    expect(await insertUntilFull(count)).toBe(count);
    resizeDisk(dataDir, 64 * MIB);
    expect(await insert(count)).toBe(1);
    await expectAll(count + 1);
    await stage.redis.call("VSTORE.CHECKPOINT", "c");
    expect(sidecar.stderr).not.toContain("unexpected error");
  });

  test("with not a byte left CREATE is refused, LIST and DROP work, and nothing stops", async () => {
    const dataDir = mountDisk(12 * MIB);
    const sidecar = start(dataDir);
    await sidecar.waitReady();
    await create();
    await create("empty");
    const count = await insertUntilFull();
    const ballast = fillUp(dataDir);
    await expect(create("more")).rejects.toThrow(/^FULL/);
    expect(await stage.redis.call("VSTORE.LIST")).toEqual(["c", "empty"]);
    await expect(stage.redis.call("VSTORE.CREATE", "bad", "DIM", 0)).rejects.toThrow(/^ERR/);
    await expect(stage.redis.call("VSTORE.DROP", "nobody")).rejects.toThrow(/^NOCOLLECTION/);
    expect(await stage.redis.call("VSTORE.DROP", "empty")).toBe("OK");
    expect(await stage.redis.call("VSTORE.LIST")).toEqual(["c"]);
    await expectAll(count);
    expect(sidecar.stderr.split("serving redis://").length - 1).toBe(1);
    rmSync(ballast);
    expect(await create("more")).toBe("OK");
    expect(readdirSync(dataDir).filter((name) => name.includes("bad"))).toEqual([]);
  });

  test("a sidecar that is killed on a full disk has lost nothing acknowledged", async () => {
    const dataDir = mountDisk(12 * MIB);
    const first = start(dataDir);
    await first.waitReady();
    await create();
    const count = await insertUntilFull();
    await first.kill();
    const second = start(dataDir);
    await second.waitReady();
    await expectAll(count);
    expect(await stage.redis.call("VSTORE.CARD", "c")).toBe(count);
  });

  test("a replay that finds no room waits for it and says so, serves no client, and goes on by itself", async () => {
    const dataDir = mountDisk(24 * MIB);
    const first = start(dataDir, NO_CHECKPOINTS);
    await first.waitReady();
    await create();
    await sleep(500); // BullMQ runs a new schedule once at the beginning
    const count = 900; // fewer than make the index worth saving, which would be a checkpoint
    for (let i = 0; i < count; i++) await insert(i);
    await first.kill();
    expect(await stage.redis.xlen("vstore:{c}:log")).toBe(count);
    // What no manifest names is removed by the next start; here another process takes its room then.
    const [collection] = readdirSync(dataDir).filter((name) => statSync(join(dataDir, name)).isDirectory());
    for (const name of readdirSync(join(dataDir, collection!)))
      if (name.startsWith("segment-")) rmSync(join(dataDir, collection!, name));
    const ballast = fillUp(dataDir);
    const second = start(dataDir);
    await second.waitLog(
      "not serving: acknowledged writes wait for room: the disk of the data directory is full; free some space",
    );
    for (const [name, ...args] of [["CARD", "c"], ["DEL", "c", "k1"], ["LIST"]]) {
      const asked = performance.now();
      await expect(stage.redis.call(`VSTORE.${name}`, ...args)).rejects.toThrow(/^VSTOREDOWN/);
      expect(performance.now() - asked).toBeLessThan(1_000);
    }
    await sleep(500);
    expect(await stage.redis.xlen("vstore:{c}:log")).toBe(count);
    rmSync(ballast);
    await second.waitReady();
    await expectAll(count);
  });

  test("a sidecar that is stopped on a full disk says so, and the log keeps what the files lack", async () => {
    const dataDir = mountDisk(12 * MIB);
    const first = start(dataDir);
    await first.waitReady();
    await create();
    const count = await insertUntilFull();
    fillUp(dataDir);
    process.kill(first.pid, "SIGTERM");
    expect([0, 1]).toContain(await first.exit());
    rmSync(join(dataDir, "ballast"));
    await start(dataDir).waitReady();
    await expectAll(count);
  });
});

describe("a data directory that cannot be used", () => {
  /** @param status 2 where it is the directory itself, as of every setting */
  async function refused(
    dataDir: string,
    message: RegExp,
    { through = [], status = 2 }: { through?: string[]; status?: number } = {},
  ): Promise<void> {
    const sidecar = start(dataDir, INTERVAL_MS, through);
    expect(await sidecar.exit()).toBe(status);
    expect(sidecar.stderr).toMatch(message);
    expect(sidecar.stderr).not.toMatch(/\n\s+at /);
    expect(sidecar.stdout).toBe("");
  }

  test("a file instead of a directory", async () => {
    const file = join(temporaryDirectory(), "data");
    writeFileSync(file, "precious");
    await refused(file, /vstore: --data-dir .*data \(ENOTDIR\)/);
  });

  test("below a file", async () => {
    const file = join(temporaryDirectory(), "data");
    writeFileSync(file, "precious");
    await refused(join(file, "below"), /vstore: --data-dir .*below \(ENOTDIR\)/);
  });

  test("one whose parents do not exist is made", async () => {
    const sidecar = start(join(temporaryDirectory(), "a", "b", "c"));
    await sidecar.waitReady();
    expect(await create()).toBe("OK");
  });

  // Permissions do not stop root, unless it gives that privilege away.
  const unprivileged = isRoot ? ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] : [];
  const NOBODY = 65_534;

  test.runIf(isRoot)("of another owner", async () => {
    const directory = temporaryDirectory();
    chownSync(directory, NOBODY, NOBODY);
    await refused(directory, new RegExp(`vstore: --data-dir .*${directory} \\(EACCES\\)`), {
      through: unprivileged,
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  test.runIf(isRoot)(
    "with a collection of another owner: refused, and nothing in it is touched",
    async () => {
      const directory = temporaryDirectory();
      const sidecar = start(directory);
      await sidecar.waitReady();
      await create();
      await sidecar.stop();
      const collection = join(directory, "c-c");
      const names = readdirSync(collection);
      chownSync(collection, NOBODY, NOBODY);
      chmodSync(collection, 0o700);
      await refused(directory, /vstore: EACCES.*c-c/, { through: unprivileged, status: 1 });
      expect(readdirSync(collection)).toEqual(names);
    },
  );

  test.skipIf(mountFault !== undefined)("read-only", async () => {
    await refused(mountDisk(MIB, "ro"), /vstore: --data-dir .*\(EROFS\)/);
  });
});
