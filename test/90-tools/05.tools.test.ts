/** The operator's tools as they are called: dist/cli.js, what it prints where, and its exit codes. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { startVstore } from "../../harness/sidecar.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import { filledDirectory, fingerprint, flip } from "../harness/data-directory.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const program = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

test("verify: 0 and a report when all is whole; nothing on stderr, nothing changed", async () => {
  const directory = await filledDirectory();
  const before = fingerprint(directory);
  const text = run("verify", directory);
  expect(text).toMatchObject({ status: 0, stderr: "" });
  expect(text.stdout).toContain("docs: 898 vectors, log covered up to 900-0");
  expect(text.stdout).toMatch(/^ {2}whole {2}c-docs\/segment-000000.vec/m);
  expect(text.stdout.trimEnd().split("\n").at(-1)).toBe(`${directory} is whole: 2 collections`);
  const json = run("verify", "--json", directory);
  expect(json.status).toBe(0);
  expect(JSON.parse(json.stdout)).toMatchObject({
    directory,
    whole: true,
    damages: [],
    collections: [
      { name: "docs", directory: "c-docs", slots: 901, live: 898, appliedId: "900-0", leftovers: [] },
      { name: "small" },
    ],
  });
  expect(fingerprint(directory)).toEqual(before);
});

test("verify: 1 when something is damaged, every damage with file and offset", async () => {
  const directory = await filledDirectory();
  flip(`${directory}/c-docs/segment-000001.vec`, 9_000);
  flip(`${directory}/c-docs/index-1.hnsw`, 9);
  fs.truncateSync(`${directory}/c-small/MANIFEST.json`, 10);
  const text = run("verify", directory);
  expect(text.status).toBe(1);
  expect(text.stdout).toMatch(/DAMAGED {2}c-docs\/segment-000001.vec .* at byte 4096: /);
  expect(text.stdout).toMatch(/DAMAGED {2}c-docs\/index-1.hnsw .*the next start builds it again/);
  expect(text.stdout, "a line for each file").not.toMatch(/^ +$/m);
  expect(text.stdout).toContain("c-small: its manifest cannot be read");
  expect(text.stdout).toContain("is DAMAGED: 3 damages in 2 collections, 2 that cost data");
  const json = run("verify", directory, "--json");
  expect(json.status).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({
    whole: false,
    damages: [
      { file: "c-docs/index-1.hnsw", offset: 0 },
      { file: "c-docs/segment-000001.vec", offset: 4096 },
      { file: "c-small/MANIFEST.json", offset: 0, what: "not a JSON object" },
    ],
  });
});

test("verify: 2 when it is in use or no data directory, and the reason on stderr", async () => {
  const directory = await filledDirectory();
  const catalog = await Catalog.open(directory);
  const locked = run("verify", directory);
  expect(locked).toMatchObject({ status: 2, stdout: "" });
  expect(locked.stderr).toBe(`vstore: LOCKED ${directory} is in use by process ${process.pid}\n`);
  await catalog.close();
  expect(run("verify", temporaryDirectory())).toMatchObject({ status: 2, stdout: "" });
  expect(run("verify", "/nonexistent").stderr).toContain("/nonexistent");
  expect(run("verify").status).toBe(2);
  expect(run("verify", directory, "--quickly").status).toBe(2);
});

test("inspect: text and JSON, while another process has the directory", async () => {
  const directory = await filledDirectory();
  const catalog = await Catalog.open(directory);
  const text = run("inspect", directory, "--keys", "2");
  expect(text).toMatchObject({ status: 0, stderr: "" });
  expect(text.stdout).toMatch(/vectors +898 of 512 dimensions, L2/);
  expect(text.stdout).toMatch(/slot 0 {2}"key 0" {2}\[1 1 1 1 1 1 …\] {2}\{"i":0\}/);
  const [docs] = JSON.parse(run("inspect", directory, "--json", "--keys", "1").stdout).collections;
  expect(docs).toMatchObject({
    name: "docs",
    manifest: { slots: 901, options: { metric: "L2" } },
    faults: [],
  });
  expect(docs.keys).toEqual([
    {
      key: "key 0",
      hex: "6b65792030",
      slot: 0,
      vector: Array(6).fill(1),
      attributes: '{"i":0}',
      deadline: null,
    },
  ]);
  expect(run("inspect", directory, "--keys", "many")).toMatchObject({ status: 2, stdout: "" });
  expect(run("inspect", temporaryDirectory()).status).toBe(2);
  await catalog.close();
});

test("backup and restore: 0 with what is covered; 2 when the target is taken; 1 when there is damage", async () => {
  const directory = await filledDirectory();
  const place = temporaryDirectory();
  const [saved, restored] = [`${place}/saved`, `${place}/restored`];
  const backup = run("backup", directory, saved);
  expect(backup).toMatchObject({ status: 0, stderr: "" });
  expect(backup.stdout).toMatch(/docs +898 vectors +log covered up to 900-0/);
  expect(run("verify", saved).status).toBe(0);
  expect(run("backup", directory, saved)).toMatchObject({ status: 2, stdout: "" });
  const restore = run("restore", saved, restored);
  expect(restore).toMatchObject({ status: 0, stderr: "" });
  expect(restore.stdout).toContain("docs/backup.md");
  expect(run("restore", saved, restored).stderr).toContain("not an empty directory");
  expect(run("restore", directory, `${place}/other`)).toMatchObject({ status: 2, stdout: "" });
  flip(`${saved}/c-small/keys.log`, 40);
  const refused = run("restore", saved, `${place}/other`);
  expect(refused).toMatchObject({ status: 1, stdout: "" });
  expect(refused.stderr).toMatch(/vstore: DAMAGED .*\n {2}c-small\/keys.log at byte 33: /);
  expect(run("backup", directory, `${place}/more`, "--redis-url", "http://x").status).toBe(2);
  expect(run("backup", directory, `${place}/more`, "--redis-url", "redis://127.0.0.1:1").status).toBe(1);
  expect(fs.readdirSync(place).sort()).toEqual(["restored", "saved"]);
});

test("backup --redis-url has everything that was acknowledged before it", async () => {
  const env = { VSTORE_CHECKPOINT_INTERVAL_MS: "3600000" };
  const vstore = await startVstore({}, { dataDir: temporaryDirectory(), env });
  const redis = new Redis(vstore.url, { protocol: 2 });
  await redis.call("VSTORE.CREATE", "c", "DIM", 2);
  // A new schedule begins with a checkpoint.
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (let i = 0; i < 20; i++) await redis.call("VSTORE.INSERT", "c", `k${i}`, "VALUES", 2, i, 1);
  const place = temporaryDirectory();
  expect(run("backup", vstore.sidecar.dataDir, `${place}/old`).stdout).toMatch(/c +0 vectors/);
  const fresh = run("backup", vstore.sidecar.dataDir, `${place}/new`, "--redis-url", vstore.url);
  expect(fresh.status).toBe(0);
  expect(fresh.stdout).toMatch(/c +20 vectors/);
  redis.disconnect();
  await vstore.stop();
});
