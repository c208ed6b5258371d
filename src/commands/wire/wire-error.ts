/** The one place where an error becomes the line that a Redis client sees. */
import { VstoreError } from "../../errors.ts";

/** "CODE message" on one line. An error that was not raised on purpose is an internal one. */
export function toWireError(error: unknown): string {
  if (error instanceof VstoreError) return oneLine(`${error.code} ${error.message}`);
  const message = error instanceof Error ? error.message : String(error);
  return oneLine(`ERR internal error: ${message}`);
}

function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, escapeControl);
}

function escapeControl(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  return `\\x${character.codePointAt(0)!.toString(16).padStart(2, "0")}`;
}
