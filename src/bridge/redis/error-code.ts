/** The code of an error reply of Redis or the module: its first word, such as `BUSY` or `WRONGTYPE`. */
import { ReplyError } from "ioredis";

/** Undefined for an error that is no answer: a lost connection, a time-out. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof ReplyError ? (error as Error).message.split(" ", 1)[0] : undefined;
}
