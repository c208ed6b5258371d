/** Lists a data directory for the tools, which only read it. Catalog serves it. */
import * as fs from "node:fs";
import { VstoreError } from "../../errors.ts";
import { directoryKind } from "../directory-kind.ts";
import {
  collectionDirectory,
  collectionOfDirectory,
  dropOfEnding,
  isCollectionDirectory,
  isLeftover,
  isReceiving,
  TEMPORARY_SUFFIX,
} from "../disk/names.ts";

export interface DataDirectory {
  /** Names of the collections' directories. */
  readonly collections: readonly string[];
  /** Entries that are named like a collection's directory, but as vstore never names one. */
  readonly misnamed: readonly string[];
  /** What a crash left; removed at the next start. */
  readonly leftovers: readonly string[];
}

/** @throws {VstoreError} ERR when it is no data directory */
export function listDataDirectory(directory: string): DataDirectory {
  const entries = readEntries(directory);
  const kind = directoryKind(entries);
  if (kind === "store") {
    const advice = "copy it as a whole after its close()";
    throw new VstoreError("ERR", `${directory} is a store of the library, not a data directory: ${advice}`);
  }
  if (kind === "neither") throw new VstoreError("ERR", `${directory} is not a data directory`);
  const named = entries.filter(isCollectionDirectory);
  return {
    collections: named.filter(isCanonical),
    misnamed: named.filter((entry) => !isCanonical(entry)),
    leftovers: entries.filter(
      (entry) =>
        isLeftover(entry) || isReceiving(entry) || isEnding(entry) || entry.endsWith(TEMPORARY_SUFFIX),
    ),
  };
}

/** Whether a MmapVectorStore lives there. @throws {VstoreError} ERR when it cannot be read */
export const isLibraryStore = (directory: string): boolean =>
  directoryKind(readEntries(directory)) === "store";

/** Sorted. @throws {VstoreError} ERR */
function readEntries(directory: string): string[] {
  try {
    return fs.readdirSync(directory).sort();
  } catch (error) {
    throw new VstoreError("ERR", (error as Error).message, { cause: error });
  }
}

const isEnding = (entry: string) => dropOfEnding(entry) !== undefined;

function isCanonical(entry: string): boolean {
  try {
    return collectionDirectory(collectionOfDirectory(entry)!) === entry;
  } catch {
    return false; // an escape that is none
  }
}
