/**
 * How the program ends, also when the reader of a pipe leaves before it has everything, as `head` does. What the
 * program prints from then on is dropped, and it goes on to its own exit code: `verify` still says by it whether damage
 * was found, and the sidecar goes on without its log. An export ends at once: what it prints is all that it does.
 */

import { VstoreError } from "../errors.ts";
import { SettingsError } from "./settings.ts";

export const exitCodes = {
  done: 0,
  /** Also: damage was found. */
  failed: 1,
  /** Bad arguments or settings, or a directory that cannot be used that way. Nothing was done. */
  badUse: 2,
  /** The reader of an export has left: what a shell shows of a program that SIGPIPE ended. */
  closedPipe: 141,
} as const;

/** The program cannot do what the arguments say. */
export class UseError extends Error {}

/** An operator's tool: its exit code is its promise, and a refusal counts as bad use. */
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

/** To be called before anything is printed. */
export function dropOutputOfClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error) => {
      if (!isClosedPipe(error)) throw error;
    });
  }
}

export function isClosedPipe(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "EPIPE";
}

/** Resolves once the pipe has it. @throws Error with the code EPIPE when no program reads any more */
export function print(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error == null ? resolve() : reject(error)));
  });
}
