/**
 * Catches the errors that nothing else catches, so that the process neither ends in silence nor goes on as if nothing
 * had happened. A stray rejection ends the session, and the next one begins. After an exception that left a callback,
 * or a rejection without a session to end, the program ends in order: last answers, a checkpoint, exit code 1.
 */
import type { UnexpectedErrors } from "../bridge/session/unexpected-errors.ts";
import { exitCodes } from "./exit.ts";

/** Time for the end in order, which may depend on what has failed. */
const endMsMax = 60_000;

/** @param stop begins the end in order */
export function catchStrayErrors(errors: UnexpectedErrors, stop: () => void): void {
  const end = () => {
    process.exitCode = exitCodes.failed;
    setTimeout(() => process.exit(exitCodes.failed), endMsMax).unref();
    stop();
  };
  process.on("unhandledRejection", (reason) => {
    if (!errors.endSession(reason)) end();
  });
  process.on("uncaughtException", (error) => {
    errors.report(error);
    end();
  });
}
