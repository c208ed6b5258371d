/** The error for a text that is no filter expression: where it goes wrong, what was expected there, and what came. */
import { VstoreError } from "../../errors.ts";

/** Characters of the text that a message repeats. */
const NEAR_LENGTH = 32;

/** @param at index of the first character that is wrong; the message counts from 1 */
export function syntaxError(text: string, at: number, expected: string): VstoreError {
  const rest = text.slice(at, at + NEAR_LENGTH);
  const near = at >= text.length ? "got the end of it" : `got ${JSON.stringify(rest)}`;
  return new VstoreError(
    "ERR",
    `syntax error in FILTER expression at position ${at + 1}: expected ${expected}, ${near}`,
  );
}
