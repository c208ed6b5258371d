/** The arguments of one request and how far they are read. A fresh one per request; only the parsers move it. */
import { VstoreError } from "../../errors.ts";
import { echo } from "./bytes.ts";

export class Cursor {
  readonly #args: readonly Uint8Array[];
  #next = 0;
  #end: number;

  constructor(args: readonly Uint8Array[]) {
    this.#args = args;
    this.#end = args.length;
  }

  /** Of the whole request. */
  get all(): readonly Uint8Array[] {
    return this.#args;
  }

  get left(): number {
    return this.#end - this.#next;
  }

  /** How many are read. */
  get position(): number {
    return this.#next;
  }

  /** Those that were read since. */
  since(position: number): readonly Uint8Array[] {
    return this.#args.slice(position, this.#next);
  }

  /** Ends before the last ones: another reader has them. */
  leaveLast(count: number): void {
    this.#end -= count;
  }

  /** The next argument, or one that comes after it, without reading past it. */
  peek(after = 0): Uint8Array | undefined {
    const at = this.#next + after;
    return at < this.#end ? this.#args[at] : undefined;
  }

  /** @throws VstoreError ERR that says that `what` is missing. */
  take(what: string): Uint8Array {
    const bytes = this.peek();
    if (bytes === undefined) throw new VstoreError("ERR", `'${what}' is missing`);
    this.#next++;
    return bytes;
  }

  /** Whether the next argument is this token, given in upper case; users may write it in any case. */
  isAt(token: string): boolean {
    const bytes = this.peek();
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
