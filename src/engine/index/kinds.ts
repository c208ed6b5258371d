/** Which implementation of the index a collection gets. */
import { VstoreError } from "../../errors.ts";
import type { CollectionOptions } from "../options.ts";
import { nativeKind } from "./native.ts";
import { loadAddon } from "./native-addon.ts";
import { portableKind } from "./portable.ts";
import type { VectorIndexKind } from "./vector-index.ts";

/** auto: the native one where it was built, else the portable one. */
export const indexChoices = ["auto", "native", "portable"] as const;
export type IndexChoice = (typeof indexChoices)[number];

/** @throws {VstoreError} ERR when the native index is asked for and was not built */
export function assertAvailable(choice: IndexChoice): void {
  if (choice !== "native" || isNativeBuilt()) return;
  throw new VstoreError("ERR", "the native index was not built: `npm run install` says why");
}

export function indexKind(options: CollectionOptions, choice: IndexChoice): VectorIndexKind {
  assertAvailable(choice);
  return choice !== "portable" && isNativeBuilt() ? nativeKind(options) : portableKind(options);
}

let isBuilt: boolean | undefined;

function isNativeBuilt(): boolean {
  isBuilt ??= canLoad();
  return isBuilt;
}

function canLoad(): boolean {
  try {
    loadAddon();
    return true;
  } catch {
    return false;
  }
}
