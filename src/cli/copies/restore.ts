/** `vstore restore <backup-dir> <data-dir>`: a data directory out of a backup. */
import { restore } from "../../engine/tools/restore.ts";
import { exitCodes } from "../exit.ts";
import { bytesProgress } from "../progress.ts";
import { coverage } from "./coverage.ts";

const next = `Start the sidecar on it. What the log in Redis still has after these ids is replayed. If the log begins later than
that, the sidecar refuses to start and says which keys to delete: what was written in between is then gone
(docs/backup.md, "Restoring a backup").`;

export async function runRestore(backup: string, directory: string): Promise<number> {
  const collections = await restore(backup, directory, bytesProgress("restoring"));
  console.log([`restored ${backup} to ${directory}, verified`, ...coverage(collections), next].join("\n"));
  return exitCodes.done;
}
