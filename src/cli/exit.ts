/** How the program ends. */

import { VstoreError } from "../errors.ts";
import { SettingsError } from "./settings.ts";

export const exitCodes = {
  done: 0,
  /** Also: damage was found. */
  failed: 1,
  /** Bad arguments or settings, or a directory that cannot be used as they say. Nothing was done. */
  badUse: 2,
} as const;

/** The arguments cannot be followed. */
export class UseError extends Error {}

/** An operator's tool: its promise is the exit code, and what it refuses is bad use. */
export function tool<Args extends unknown[]>(
  run: (...args: Args) => Promise<number>,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    try {
      process.exitCode = await run(...args);
    } catch (error) {
      if (!(error instanceof VstoreError)) throw error;
      const message = `${error.code} ${error.message}`;
      throw error.code === "LOCKED" || error.code === "ERR" ? new UseError(message) : new Error(message);
    }
  };
}

export function exitCodeOf(error: unknown): number {
  return error instanceof SettingsError || error instanceof UseError ? exitCodes.badUse : exitCodes.failed;
}
