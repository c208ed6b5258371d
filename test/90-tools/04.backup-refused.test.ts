/** What a backup or a restore refuses to do, and that nothing is left of what was refused. */
import * as fs from "node:fs";
import { expect, test } from "vitest";
import { backup } from "../../src/engine/tools/backup.ts";
import { restore } from "../../src/engine/tools/restore.ts";
import { damagesIn, everything, filledDirectory, flip, overwrite } from "../harness/data-directory.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const silent = () => {};
const target = () => `${temporaryDirectory()}/target`;

test("nothing is overwritten, and nothing is left of what was refused", async () => {
  const directory = await filledDirectory();
  const saved = target();
  fs.mkdirSync(saved);
  fs.writeFileSync(`${saved}/mine`, "precious");
  await expect(backup(directory, saved, silent)).rejects.toMatchObject({ code: "ERR" });
  await expect(backup(directory, `${saved}/mine`, silent)).rejects.toMatchObject({ code: "ERR" });
  await expect(backup(saved, target(), silent)).rejects.toMatchObject({ code: "ERR" });
  expect(fs.readdirSync(saved)).toEqual(["mine"]);
  const empty = target();
  fs.mkdirSync(empty);
  await backup(directory, empty, silent);
  await expect(restore(empty, saved, silent)).rejects.toMatchObject({ code: "ERR" });
  expect(fs.readdirSync(`${empty}/..`)).toEqual(["target"]);
});

test("what an interrupted backup leaves is no backup, and does not stand in the way of the next", async () => {
  const directory = await filledDirectory();
  const saved = target();
  await backup(directory, saved, silent);
  const half = `${saved}.partial`;
  fs.cpSync(saved, half, { recursive: true });
  fs.rmSync(`${half}/BACKUP.json`);
  await expect(restore(half, target(), silent)).rejects.toThrow(/not a complete backup/);
  fs.rmSync(saved, { recursive: true });
  await backup(directory, saved, silent);
  expect(fs.existsSync(half)).toBe(false);
  fs.rmSync(`${saved}/c-small`, { recursive: true });
  await expect(restore(saved, target(), silent)).rejects.toThrow(/the backup has lost c-small/);
  expect(await damagesIn(saved)).toEqual([expect.objectContaining({ file: "BACKUP.json" })]);
});

test("damaged data are neither backed up nor restored, and every damage is named", async () => {
  const directory = await filledDirectory();
  const [whole, saved] = [target(), target()];
  await backup(directory, whole, silent);
  overwrite(`${directory}/c-docs/segment-000001.vec`, 9_000, new Uint8Array(50).fill(7));
  fs.rmSync(`${directory}/c-small/keys.log`);
  const refusal = backup(directory, saved, silent);
  await expect(refusal).rejects.toMatchObject({ code: "DAMAGED" });
  await expect(refusal).rejects.toThrow(
    /c-docs\/segment-000001.vec at byte 4096.*\n.*c-small\/keys.log at byte 0/,
  );
  expect([fs.existsSync(saved), fs.existsSync(`${saved}.partial`)]).toEqual([false, false]);
  flip(`${whole}/c-docs/attributes.log`, 40);
  const restored = target();
  await expect(restore(whole, restored, silent)).rejects.toThrow(/c-docs\/attributes.log at byte 35/);
  expect(fs.existsSync(restored)).toBe(false);
});

test("a damaged index does not keep data from being backed up and restored", async () => {
  const directory = await filledDirectory();
  flip(`${directory}/c-docs/index-1.hnsw`, 5_000);
  const [saved, restored] = [target(), target()];
  await backup(directory, saved, silent);
  await restore(saved, restored, silent);
  expect((await everything(restored)).docs).toHaveLength(898);
});

test("the same target twice at a time is refused, the first one is undisturbed", async () => {
  const directory = await filledDirectory();
  const saved = target();
  const first = backup(directory, saved, silent);
  await expect(backup(directory, saved, silent)).rejects.toMatchObject({ code: "LOCKED" });
  await first;
  expect(await damagesIn(saved)).toEqual([]);
});

test("a collection whose files are replaced meanwhile is begun again, a limited number of times", async () => {
  const directory = await filledDirectory();
  const saved = target();
  const manifest = `${directory}/c-docs/MANIFEST.json`;
  const text = fs.readFileSync(manifest, "utf8");
  let attempts = 0;
  /** What a checkpoint in the middle of copying looks like: a file that is not the manifest's, and another manifest. */
  const disturb = (times: number) => (done: number) => {
    const copy = `${saved}.partial/c-docs/attributes.log`;
    if (done === 0 || attempts === times || fs.existsSync(`${saved}.partial/c-small`)) return;
    if (fs.statSync(copy).size < 1_000) return;
    attempts++;
    fs.truncateSync(copy, 100);
    fs.writeFileSync(manifest, text + " ".repeat(attempts));
  };
  await backup(directory, saved, disturb(3));
  expect([attempts, await damagesIn(saved)]).toEqual([3, []]);
  fs.rmSync(saved, { recursive: true });
  attempts = 0;
  await expect(backup(directory, saved, disturb(Number.POSITIVE_INFINITY))).rejects.toMatchObject({
    code: "TRYAGAIN",
  });
  expect([attempts, fs.existsSync(saved)]).toEqual([8, false]);
});
