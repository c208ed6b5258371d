/**
 * The tools on the directory of a MmapVectorStore: verify and inspect know it, backup and restore refuse it by name.
 */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { MmapVectorStore } from "../../src/index.ts";
import { filledDirectory, fingerprint, flip } from "../harness/data-directory.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const program = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const run = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: "utf8" });

async function filledStore(): Promise<string> {
  const directory = `${temporaryDirectory()}/store`;
  const store = await MmapVectorStore.open(directory, { dimensions: 2 });
  for (let i = 0; i < 10; i++) store.insert(`k${i}`, new Float32Array([1, i]), { attributes: `{"i":${i}}` });
  await store.close();
  return directory;
}

test("verify finds a whole store whole, and changes nothing", async () => {
  const directory = await filledStore();
  const before = fingerprint(directory);
  const { status, stdout } = run("verify", directory);
  expect(status).toBe(0);
  expect(stdout).toContain("store of the library: 10 vectors");
  expect(stdout).toMatch(/^ {2}whole {2}store\/segment-000000.vec/m);
  expect(stdout).not.toContain("leftover");
  expect(fingerprint(directory)).toEqual(before);
});

test.each([
  ["a flipped bit in a segment", (store: string) => flip(`${store}/segment-000000.vec`, 4_100)],
  ["a short log of keys", (store: string) => fs.truncateSync(`${store}/keys.log`, 40)],
  ["a lost manifest", (store: string) => fs.rmSync(`${store}/MANIFEST.json`)],
  ["a manifest that is none", (store: string) => fs.writeFileSync(`${store}/MANIFEST.json`, "{}")],
])("verify exits with 1 for %s", async (_, damage) => {
  const directory = await filledStore();
  damage(directory);
  const { status, stdout } = run("verify", directory);
  expect(status).toBe(1);
  expect(stdout).toContain("DAMAGED  store/");
});

test("verify refuses a store that a process has open", async () => {
  const directory = await filledStore();
  const store = await MmapVectorStore.open(directory);
  expect(run("verify", directory)).toMatchObject({ status: 2, stderr: expect.stringContaining("LOCKED") });
  await store.close();
});

test("inspect shows its vectors and keys", async () => {
  const { status, stdout } = run("inspect", await filledStore(), "--keys", "1");
  expect(status).toBe(0);
  expect(stdout).toMatch(/vectors +10 of 2 dimensions, COSINE/);
  expect(stdout).toContain('"k0"');
});

test("backup, restore and serve refuse it by name, with exit code 2 for the tools", async () => {
  const directory = await filledStore();
  const before = fingerprint(directory);
  const target = `${temporaryDirectory()}/target`;
  for (const tool of ["backup", "restore"]) {
    const { status, stderr } = run(tool, directory, target);
    expect({ tool, status }).toEqual({ tool, status: 2 });
    expect(stderr).toContain("is a store of the library, not a data directory");
  }
  const { status, stderr } = run("serve", "--data-dir", directory, "--redis-server", "none");
  expect(status).not.toBe(0);
  expect(stderr).toContain("is a store of the library");
  expect(fs.existsSync(target)).toBe(false);
  expect(fingerprint(directory)).toEqual(before);
});

test("a backup inside what it copies is refused, also by another name of it", async () => {
  const directory = await filledDirectory();
  const link = `${temporaryDirectory()}/link`;
  fs.symlinkSync(directory, link);
  const before = fingerprint(directory);
  for (const target of [`${directory}/inner`, `${directory}/deep/inner`, `${link}/inner`]) {
    const { status, stderr } = run("backup", directory, target);
    expect({ target, status }).toEqual({ target, status: 2 });
    expect(stderr).toContain("is inside");
  }
  expect(fingerprint(directory)).toEqual(before);
  expect(run("backup", directory, `${directory}-copy`).status).toBe(0);
  fs.rmSync(`${directory}-copy`, { recursive: true });
});
