/** A data directory on a disk of a few MiB, and data directories that cannot be used at all. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join as joinPath } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { temporaryDirectory } from "./harness/directory.ts";
import { type RedisServer, startRedis } from "./harness/redis-server.ts";
import { connectClient, served } from "./harness/serving.ts";
import { type SidecarProcess, startSidecar } from "./harness/sidecar.ts";

const DIMENSIONS = 256;
const MIB = 1024 * 1024;

/** Why no disk can be mounted here; undefined when one can. */
function mountFault(): string | undefined {
  const directory = joinPath("/tmp", `vstore-mount-${process.pid}`);
  mkdirSync(directory);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "vstore-test", directory], { stdio: "pipe" });
    execFileSync("umount", [directory]);
    return undefined;
  } catch (error) {
    return String(error);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const isRoot = process.getuid?.() === 0;
const fault = mountFault();
if (fault !== undefined) console.log(`no disk of our own, so these tests are skipped: ${fault}`);

let server: RedisServer;
let redis: Redis;
let sidecars: SidecarProcess[];

beforeEach(async () => {
  sidecars = [];
  server = await startRedis({ appendonly: "everysec" });
  redis = connectClient(server.url);
});

afterEach(async () => {
  redis.disconnect();
  for (const sidecar of sidecars) await sidecar.kill();
  await server.stop();
});

function join(dataDir: string, intervalMs = 1_000, through: string[] = []): SidecarProcess {
  const env = { VSTORE_CHECKPOINT_INTERVAL_MS: String(intervalMs) };
  const sidecar = startSidecar({ redisUrl: server.url, dataDir, env, through });
  sidecars.push(sidecar);
  return sidecar;
}

/** A tmpfs of so many bytes, below a private directory. */
function mountDisk(bytes: number, ...options: string[]): string {
  const directory = temporaryDirectory();
  const all = [`size=${bytes}`, ...options].join(",");
  execFileSync("mount", ["-t", "tmpfs", "-o", all, "vstore-test", directory]);
  onTestFinished(async () => {
    for (const sidecar of sidecars) await sidecar.kill();
    execFileSync("umount", [directory]);
  });
  return directory;
}

const resize = (directory: string, bytes: number) =>
  execFileSync("mount", ["-o", `remount,size=${bytes}`, directory]);

/** Takes what is left of the disk, to the last byte. */
function fillUp(directory: string): string {
  const ballast = joinPath(directory, "ballast");
  const { bavail, bsize } = statfsSync(directory);
  writeFileSync(ballast, Buffer.alloc(bavail * bsize));
  expect(() => writeFileSync(joinPath(directory, "more"), "x")).toThrow("ENOSPC");
  return ballast;
}

const vector = (i: number) => Buffer.from(new Float32Array(DIMENSIONS).fill(i).buffer);
const create = (name = "c") => redis.call("VSTORE.CREATE", name, "DIM", DIMENSIONS, "METRIC", "L2");
const insert = (i: number) => redis.call("VSTORE.INSERT", "c", `k${i}`, "FP32", vector(i));

/** Inserts until the disk is full; returns how many were acknowledged. */
async function insertUntilFull(from = 0): Promise<number> {
  for (let i = from; i < 100_000; i++) {
    const refusal = await insert(i).then(
      () => undefined,
      (error: Error) => error.message,
    );
    if (refusal === undefined) continue;
    expect(refusal).toMatch(/^FULL the disk of the data directory is full/);
    return i;
  }
  throw new Error("the disk never became full");
}

async function expectAll(count: number): Promise<void> {
  expect(await served(redis, "VSTORE.CARD", "c")).toBe(count);
  for (let i = 0; i < count; i += 97) {
    const found = await redis.callBuffer("VSTORE.GET", "c", `k${i}`, "RAW");
    expect(vector(i).equals(found as Buffer), `k${i}`).toBe(true);
  }
  const last = await redis.call("VSTORE.SEARCH", "c", "FP32", vector(count - 1), "COUNT", 1);
  expect(last).toEqual([`k${count - 1}`]);
}

describe.skipIf(fault !== undefined)("a full disk", () => {
  test("answers FULL to writers; reads go on, and writes once there is room", async () => {
    const disk = mountDisk(12 * MIB);
    const sidecar = join(disk);
    await sidecar.waitReady();
    await create();
    const count = await insertUntilFull();
    console.log(`12 MiB took ${count} vectors of 1 KiB`);
    expect(count).toBeGreaterThan(5_000);
    await expectAll(count);
    expect(await insertUntilFull(count)).toBe(count);
    resize(disk, 64 * MIB);
    expect(await insert(count)).toBe(1);
    await expectAll(count + 1);
    await redis.call("VSTORE.CHECKPOINT", "c");
    expect(sidecar.stderr).not.toContain("unexpected error");
  });

  test("with not a byte left CREATE is refused, LIST and DROP work, and nothing stops", async () => {
    const disk = mountDisk(12 * MIB);
    const sidecar = join(disk);
    await sidecar.waitReady();
    await create();
    await create("empty");
    const count = await insertUntilFull();
    const ballast = fillUp(disk);
    await expect(create("more")).rejects.toThrow(/^FULL/);
    expect(await redis.call("VSTORE.LIST")).toEqual(["c", "empty"]);
    await expect(redis.call("VSTORE.CREATE", "bad", "DIM", 0)).rejects.toThrow(/^ERR/);
    await expect(redis.call("VSTORE.DROP", "nobody")).rejects.toThrow(/^NOCOLLECTION/);
    expect(await redis.call("VSTORE.DROP", "empty")).toBe("OK");
    expect(await redis.call("VSTORE.LIST")).toEqual(["c"]);
    await expectAll(count);
    expect(sidecar.stderr.split("serving redis://").length - 1).toBe(1);
    rmSync(ballast);
    expect(await create("more")).toBe("OK");
    expect(readdirSync(disk).filter((name) => name.includes("bad"))).toEqual([]);
  });

  test("a sidecar that is killed on a full disk has lost nothing acknowledged", async () => {
    const disk = mountDisk(12 * MIB);
    const first = join(disk);
    await first.waitReady();
    await create();
    const count = await insertUntilFull();
    await first.kill();
    const second = join(disk);
    await second.waitReady();
    await expectAll(count);
    expect(await redis.call("VSTORE.CARD", "c")).toBe(count);
  });

  test("a replay that finds no room waits for it, and loses nothing acknowledged", async () => {
    const disk = mountDisk(24 * MIB);
    const first = join(disk, 3_600_000);
    await first.waitReady();
    await create();
    await sleep(500); // BullMQ runs a new schedule once at the beginning
    const count = 900; // fewer than make the index worth saving, which would be a checkpoint
    for (let i = 0; i < count; i++) await insert(i);
    await first.kill();
    expect(await redis.xlen("vstore:{c}:log")).toBe(count);
    // What no manifest names is removed by the next start; here somebody else takes its room then.
    const [collection] = readdirSync(disk).filter((name) => statSync(joinPath(disk, name)).isDirectory());
    for (const name of readdirSync(joinPath(disk, collection!)))
      if (name.startsWith("segment-")) rmSync(joinPath(disk, collection!, name));
    const ballast = fillUp(disk);
    const second = join(disk);
    await second.waitLog("not serving: the disk of the data directory is full");
    await sleep(500);
    expect(await redis.xlen("vstore:{c}:log")).toBe(count);
    rmSync(ballast);
    await second.waitReady();
    await expectAll(count);
  });

  test("a sidecar that is stopped on a full disk says so, and the log keeps what the files lack", async () => {
    const disk = mountDisk(12 * MIB);
    const first = join(disk);
    await first.waitReady();
    await create();
    const count = await insertUntilFull();
    fillUp(disk);
    process.kill(first.pid, "SIGTERM");
    expect([0, 1]).toContain(await first.exit());
    rmSync(joinPath(disk, "ballast"));
    await join(disk).waitReady();
    await expectAll(count);
  });
});

describe("a data directory that cannot be used", () => {
  async function refused(dataDir: string, message: RegExp, through: string[] = []): Promise<void> {
    const sidecar = join(dataDir, 1_000, through);
    expect(await sidecar.exit()).toBe(1);
    expect(sidecar.stderr).toMatch(message);
    expect(sidecar.stderr).not.toMatch(/\n\s+at /);
    expect(sidecar.stdout).toBe("");
  }

  test("a file instead of a directory", async () => {
    const file = joinPath(temporaryDirectory(), "data");
    writeFileSync(file, "precious");
    await refused(file, /vstore: .*data/);
  });

  test("below a file", async () => {
    const file = joinPath(temporaryDirectory(), "data");
    writeFileSync(file, "precious");
    await refused(joinPath(file, "below"), /vstore: .*data/);
  });

  test("one whose parents do not exist is made", async () => {
    const sidecar = join(joinPath(temporaryDirectory(), "a", "b", "c"));
    await sidecar.waitReady();
    expect(await create()).toBe("OK");
  });

  // Permissions do not stop root, unless it gives that privilege away.
  const unprivileged = isRoot ? ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] : [];
  const NOBODY = 65_534;

  test.runIf(isRoot)("of another owner", async () => {
    const directory = temporaryDirectory();
    chownSync(directory, NOBODY, NOBODY);
    await refused(directory, /vstore: EACCES.*LOCK/, unprivileged);
    expect(readdirSync(directory)).toEqual([]);
  });

  test.runIf(isRoot)(
    "with a collection of another owner: refused, and nothing in it is touched",
    async () => {
      const directory = temporaryDirectory();
      const sidecar = join(directory);
      await sidecar.waitReady();
      await create();
      await sidecar.stop();
      const collection = joinPath(directory, "c-c");
      const names = readdirSync(collection);
      chownSync(collection, NOBODY, NOBODY);
      chmodSync(collection, 0o700);
      await refused(directory, /vstore: EACCES.*c-c/, unprivileged);
      expect(readdirSync(collection)).toEqual(names);
    },
  );

  test.skipIf(fault !== undefined)("read-only", async () => {
    const disk = mountDisk(MIB, "ro");
    await refused(disk, /vstore: .*read-only/);
  });
});
