/** Tokens of the whole: those of its parts. Each part gets its own with a read, and waits for it as ever. */
import { echo } from "../../../commands/grammar/bytes.ts";
import { VstoreError } from "../../../errors.ts";
import type { Parts } from "../parts.ts";
import type { Handler } from "./handler.ts";

/** Begins every token of a collection with parts. */
const form = "p1";
/** Bytes of the token of one part, with what stands before it. */
const partBytesMax = 128;

export const readToken: Handler = async (parts) =>
  [form, ...(await parts.askAll("TOKEN", [])).map(String)].join(",");

/** @throws {VstoreError} ERR: it is no token of a collection with so many parts. The parts look at theirs */
export function tokensIn(bytes: Uint8Array, { home, names }: Parts): string[] {
  const isLong = bytes.length > partBytesMax * (names.length + 1);
  const [begin, ...tokens] = isLong ? [] : Buffer.from(bytes).toString("latin1").split(",");
  if (begin === form && tokens.length === names.length) return tokens;
  const what = `'ASOF' must be a token that VSTORE.TOKEN answered for collection '${home.name}'`;
  throw new VstoreError("ERR", `${what}, got ${echo(bytes)}`);
}
