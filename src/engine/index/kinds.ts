/** Which implementation of the index a collection gets. */
import { findAddon } from "../addon.ts";
import { portableMapFile } from "../disk/mapping.ts";
import type { CollectionOptions } from "../options.ts";
import type { IndexChoice } from "./choices.ts";
import { requireHnswlib } from "./hnswlib.ts";
import { nativeKind } from "./native.ts";
import { loadAddon } from "./native-addon.ts";
import { portableKind } from "./portable.ts";
import type { VectorIndexKind } from "./vector-index.ts";

export type { IndexChoice } from "./choices.ts";

/** @throws {VstoreError} ERR, with what to do, when the chosen implementation is not built */
export function assertAvailable(choice: IndexChoice): void {
  if (choice === "native") loadAddon();
  if (choice !== "portable" && isNativeBuilt()) return;
  requireHnswlib();
  if (!isNativeBuilt()) portableMapFile();
}

export const isNativeBuilt = (): boolean => findAddon() !== undefined;

/**
 * Threads of the process that search and that build, for the native index; 0 for one per core that the process may run
 * on. Before the first search.
 */
export function setThreads(searching: number, building: number): void {
  if (isNativeBuilt()) loadAddon().resizePool(searching, building);
}

export function indexKind(options: CollectionOptions, choice: IndexChoice): VectorIndexKind {
  assertAvailable(choice);
  return choice !== "portable" && isNativeBuilt() ? nativeKind(options) : portableKind(options);
}
