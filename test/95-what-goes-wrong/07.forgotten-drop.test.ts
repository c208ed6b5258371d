/**
 * A DROP that Redis has forgotten, as it was restored from an older snapshot: completed, but not on the word of wrong
 * files.
 */
import { copyFileSync, cpSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { backup } from "../../src/engine/tools/backup.ts";
import { restore } from "../../src/engine/tools/restore.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { served } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const log = "vstore:{docs}:log";

const stage = eachTestOnStage();

const call = (name: string, ...args: (string | number)[]) => served(stage.redis, `VSTORE.${name}`, ...args);
const create = (name: string) => call("CREATE", name, "DIM", 2, "METRIC", "L2");
const insert = (name: string, i: number) => call("INSERT", name, `k${i}`, "VALUES", 2, i, 1);

/** A sidecar with collections "docs" and "others", ten vectors each. */
async function filled(): Promise<SidecarProcess> {
  const sidecar = stage.join();
  await sidecar.waitReady();
  for (const name of ["docs", "others"]) {
    await create(name);
    for (let i = 0; i < 10; i++) await insert(name, i);
  }
  return sidecar;
}

const snapshot = () => join(stage.server.directory, "dump.rdb");
const kept = () => join(stage.server.directory, "older.rdb");

async function keepSnapshot(): Promise<void> {
  await stage.redis.save();
  copyFileSync(snapshot(), kept());
}

async function restoreSnapshot(): Promise<void> {
  await stage.server.kill();
  copyFileSync(kept(), snapshot());
  await stage.server.restart();
}

async function expectCompleted(sidecar: SidecarProcess): Promise<void> {
  await sidecar.waitLog("Redis has forgotten a DROP");
  expect(await call("LIST")).toEqual(["others"]);
  expect(await stage.redis.exists(log)).toBe(0);
  expect(await stage.redis.hexists("vstore:collections", "docs")).toBe(0);
  expect(await call("CARD", "others")).toBe(10);
  expect(await create("docs")).toBe("OK");
  expect(await call("CARD", "docs")).toBe(0);
  expect(await insert("docs", 1)).toBe(1);
}

async function expectRefused(dataDir: string): Promise<void> {
  const length = await stage.redis.xlen(log);
  const sidecar = stage.join({ dataDir });
  await sidecar.waitLog("do not have it");
  expect(await stage.redis.xlen(log)).toBe(length);
  expect(sidecar.stdout).toBe("");
  await sidecar.kill();
}

test("is completed by the sidecar that goes on serving", async () => {
  const sidecar = await filled();
  await keepSnapshot();
  await call("DROP", "docs");
  await restoreSnapshot();
  await expectCompleted(sidecar);
});

test("is completed after a checkpoint of what was dropped, and by a sidecar on a restored backup", async () => {
  const sidecar = await filled();
  await call("CHECKPOINT");
  await keepSnapshot();
  await call("DROP", "docs");
  await call("CHECKPOINT");
  await sidecar.stop();
  const [copy, dataDir] = [join(temporaryDirectory(), "copy"), join(temporaryDirectory(), "data")];
  await backup(sidecar.dataDir, copy, () => {});
  await restore(copy, dataDir, () => {});
  await restoreSnapshot();
  await expectCompleted(stage.join({ dataDir }));
});

test("is not completed by the files of another store that has dropped a collection of that name", async () => {
  const first = await filled();
  await first.stop();
  const other = await startRedis();
  const wrong = startSidecar({ redisUrl: other.url, dataDir: temporaryDirectory() });
  await wrong.waitReady();
  const client = stage.redis.duplicate({ port: other.port });
  for (const name of ["docs", "others"]) await served(client, "VSTORE.CREATE", name, "DIM", 2);
  await served(client, "VSTORE.DROP", "docs");
  client.disconnect();
  await wrong.stop();
  await other.stop();
  await stage.redis.hdel("vstore:collections", "others"); // which would be reason enough
  await expectRefused(wrong.dataDir);
  await expectServed(first.dataDir);
});

test("is not completed by a backup that a new Redis has adopted meanwhile", async () => {
  const first = await filled();
  await first.stop();
  const copy = join(temporaryDirectory(), "copy");
  cpSync(first.dataDir, copy, { recursive: true });
  const staging = await startRedis();
  const clone = startSidecar({ redisUrl: staging.url, dataDir: copy });
  await clone.waitReady();
  const client = stage.redis.duplicate({ port: staging.port });
  await served(client, "VSTORE.DROP", "docs");
  client.disconnect();
  await clone.stop();
  await staging.stop();
  await expectRefused(copy);
  await expectServed(first.dataDir);
});

test("is not completed where the collection was created again, or written to, after that DROP", async () => {
  const sidecar = await filled();
  await call("DROP", "docs");
  await sidecar.stop();
  const stale = join(temporaryDirectory(), "stale");
  cpSync(sidecar.dataDir, stale, { recursive: true });
  const again = stage.join({ dataDir: sidecar.dataDir });
  await again.waitReady();
  await create("docs");
  await insert("docs", 1);
  await again.stop();
  await expectRefused(stale);
  await stage.redis.hset("vstore:collections", "docs", "1-1"); // as if it had been there before
  await expectRefused(stale);
});

async function expectServed(dataDir: string): Promise<void> {
  await stage.killSidecars();
  await stage.redis.del("vstore:leader");
  await stage.join({ dataDir }).waitReady();
  for (const name of ["docs", "others"]) expect(await call("CARD", name)).toBe(10);
}
