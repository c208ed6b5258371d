/** What a directory is, told by its names: a sidecar's data directory or a store of the library. The two never mix. */
import {
  ATTRIBUTES_FILE,
  BACKUP_FILE,
  CONTROL_FILE,
  isCollectionDirectory,
  isSegmentFile,
  KEYS_FILE,
  LOCK_FILE,
  MANIFEST_FILE,
} from "./disk/names.ts";

/** data: also a backup, and one in which nothing was created yet. store: also one that has lost its manifest. */
export type DirectoryKind = "data" | "store" | "neither";

const ofData = new Set([CONTROL_FILE, BACKUP_FILE]);
const ofStore = new Set([MANIFEST_FILE, KEYS_FILE, ATTRIBUTES_FILE]);

export function directoryKind(entries: readonly string[]): DirectoryKind {
  if (entries.some((entry) => ofData.has(entry) || isCollectionDirectory(entry))) return "data";
  if (entries.some((entry) => ofStore.has(entry) || isSegmentFile(entry))) return "store";
  return entries.includes(LOCK_FILE) ? "data" : "neither";
}
