/** The arguments of one request and how far they are read. A fresh one per request; only the parsers move it. */
import { VstoreError } from "../../errors.ts";
import { echo } from "./bytes.ts";

export class Cursor {
  readonly #args: readonly Uint8Array[];
  #next = 0;

  constructor(args: readonly Uint8Array[]) {
    this.#args = args;
  }

  get left(): number {
    return this.#args.length - this.#next;
  }

  /** The next argument, or one that comes after it, without reading past it. */
  peek(after = 0): Uint8Array | undefined {
    return this.#args[this.#next + after];
  }

  /** @throws VstoreError ERR that says that `what` is missing. */
  take(what: string): Uint8Array {
    const bytes = this.#args[this.#next];
    if (bytes === undefined) throw new VstoreError("ERR", `'${what}' is missing`);
    this.#next++;
    return bytes;
  }

  /** Whether the next argument is this token, given in upper case; users may write it in any case. */
  isAt(token: string): boolean {
    const bytes = this.#args[this.#next];
    if (bytes === undefined || bytes.length !== token.length) return false;
    for (let i = 0; i < token.length; i++) {
      if (upperCase(bytes[i]!) !== token.charCodeAt(i)) return false;
    }
    return true;
  }

  /** Reads past the token when it is next. */
  skip(token: string): boolean {
    const found = this.isAt(token);
    if (found) this.#next++;
    return found;
  }

  /** @throws VstoreError ERR when bytes are left that no argument of the command has taken. */
  end(): void {
    const bytes = this.peek();
    if (bytes !== undefined) throw new VstoreError("ERR", `unexpected argument ${echo(bytes)}`);
  }
}

function upperCase(byte: number): number {
  return byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
}
