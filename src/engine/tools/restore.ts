/**
 * Makes a data directory out of a backup. Nothing is shared with the backup, since the files are going to be written
 * to.
 */
import { VstoreError } from "../../errors.ts";
import { DirectoryLock } from "../disk/lock.ts";
import { buildAside } from "./aside.ts";
import { type CopyReport, copyCollections, copyControl } from "./backup.ts";
import { readBackupFile } from "./backup-file.ts";
import { listDataDirectory } from "./data-directory.ts";
import type { OnProgress } from "./verify.ts";

/**
 * Restores `backup` to the data directory `target`, which must not exist or be empty.
 *
 * @throws {VstoreError} ERR (target, no backup), LOCKED, FULL, DAMAGED with all damages
 */
export async function restore(backup: string, target: string, onProgress: OnProgress): Promise<CopyReport> {
  listDataDirectory(backup);
  const lock = DirectoryLock.acquireShared(backup);
  try {
    if ((await readBackupFile(backup)) === undefined) {
      throw new VstoreError("ERR", `${backup} is not a complete backup: it has no BACKUP.json`);
    }
    return await buildAside(backup, target, async (partial) => {
      await copyControl(backup, partial);
      const reports = await copyCollections(backup, partial, false, onProgress);
      return reports.map((report) => report.manifest!);
    });
  } finally {
    lock?.release();
  }
}
