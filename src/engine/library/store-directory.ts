/** The directory of a library's store: whether one is there, and the files of a new one. */
import * as fs from "node:fs";
import { VstoreError } from "../../errors.ts";
import { directoryKind } from "../directory-kind.ts";
import { LOCK_FILE, MANIFEST_FILE } from "../disk/names.ts";
import { createFiles } from "../generation/recovery.ts";
import { FIRST_ID } from "../log-id.ts";
import { type CollectionOptions, resolveOptions } from "../options.ts";

/** The one collection of a store needs no name. */
const NAME = "";

/** Checks before anything is made: either there is a store, or the options are enough to make one. */
export function assertUsable(directory: string, options: Partial<CollectionOptions>): boolean {
  if (fs.existsSync(`${directory}/${MANIFEST_FILE}`)) return true;
  const entries = fs.existsSync(directory) ? fs.readdirSync(directory) : [];
  if (directoryKind(entries) === "data" && entries.some((entry) => entry !== LOCK_FILE)) {
    throw new VstoreError(
      "ERR",
      `${directory} is the data directory of a sidecar, not a store of the library`,
    );
  }
  resolveGiven(directory, options);
  return false;
}

function resolveGiven(directory: string, options: Partial<CollectionOptions>): CollectionOptions {
  const { dimensions } = options;
  if (dimensions !== undefined) return resolveOptions({ ...options, dimensions });
  throw new VstoreError("ERR", `'dimensions' is required: there is no store in ${directory}`);
}

export async function create(directory: string, options: Partial<CollectionOptions>): Promise<void> {
  // Another process may have made it while the lock was waited for.
  if (fs.existsSync(`${directory}/${MANIFEST_FILE}`)) return;
  await createFiles(directory, NAME, resolveGiven(directory, options), FIRST_ID);
}

export function assertSame(actual: CollectionOptions, given: Partial<CollectionOptions>): void {
  for (const [name, value] of Object.entries(given)) {
    const has = actual[name as keyof CollectionOptions];
    if (value !== undefined && value !== has) {
      throw new VstoreError("ERR", `'${name}' is ${has} in this store, got ${value}`);
    }
  }
}
