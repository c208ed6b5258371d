/**
 * BACKUP.json: what a backup consists of. It is written last, so a directory without it, or with less, is no whole
 * backup.
 */
import * as fs from "node:fs";
import { z } from "zod";
import { DamagedFileError } from "../../errors.ts";
import { readText, replaceFile } from "../disk/files.ts";
import { BACKUP_FORMAT } from "../disk/layout.ts";
import { seal, unseal } from "../disk/manifest.ts";
import { BACKUP_FILE } from "../disk/names.ts";

const schema = z.object({
  /** ISO 8601. */
  createdAt: z.string(),
  /** Names of the collections' directories. */
  collections: z.array(z.string()),
});

export type BackupFile = z.infer<typeof schema>;

/** @throws {VstoreError} FULL */
export async function writeBackupFile(directory: string, content: BackupFile): Promise<void> {
  await replaceFile(directory, BACKUP_FILE, seal(BACKUP_FORMAT, content));
}

/**
 * Undefined when the directory is no backup.
 *
 * @throws {DamagedFileError} also when a collection is missing
 */
export async function readBackupFile(directory: string): Promise<BackupFile | undefined> {
  const path = `${directory}/${BACKUP_FILE}`;
  const text = await readText(path);
  if (text === undefined) return undefined;
  const content = schema.safeParse(unseal(path, BACKUP_FORMAT, text));
  if (!content.success) throw new DamagedFileError(path, 0, "not what vstore writes");
  const missing = content.data.collections.find((entry) => !fs.existsSync(`${directory}/${entry}`));
  if (missing !== undefined) throw new DamagedFileError(path, 0, `the backup has lost ${missing}`);
  return content.data;
}
