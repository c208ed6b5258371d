/**
 * Errors that no code raised on purpose. Each is logged and counted for INFO. After one that no code awaits (a
 * rejection in the background) it is unknown what else did not happen. So it also ends the session under way: the next
 * one begins with what the logs and the files say.
 */
import type { Logger } from "../../log.ts";

export class UnexpectedErrors {
  readonly #log: Logger;
  #count = 0;
  #session: ((reason: Error) => void) | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** For VSTORE.INFO. */
  get count(): number {
    return this.#count;
  }

  report(error: unknown, details: object = {}): void {
    this.#count++;
    this.#log.error({ err: error, ...details }, "unexpected error");
  }

  /** Sets the session that the next stray error ends. */
  watch(end: ((reason: Error) => void) | undefined): void {
    this.#session = end;
  }

  /** An error that no code awaits. Returns whether a session was there to end. */
  endSession(error: unknown): boolean {
    this.report(error, { stray: true });
    const end = this.#session;
    end?.(new Error(`an unexpected error: ${error instanceof Error ? error.message : String(error)}`));
    return end !== undefined;
  }
}
