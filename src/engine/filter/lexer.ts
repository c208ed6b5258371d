/**
 * Text to tokens. Operators and words need no space between them (`1984and.active`), a minus begins a number where an
 * operator stood before it, and a hyphen is part of a field's name.
 */

import { limits } from "../../limits.ts";
import { syntaxError } from "./syntax-error.ts";
import type { Value } from "./value.ts";

/** Longest first, so that `**` is not `*` twice. */
export const operators = [
  "and",
  "not",
  "**",
  ">=",
  "<=",
  "==",
  "!=",
  "in",
  "&&",
  "||",
  "or",
  "+",
  "-",
  "*",
  "%",
  "/",
  "!",
  "(",
  ")",
  "<",
  ">",
] as const;
export type Operator = (typeof operators)[number];

export type Token = { readonly at: number } & (
  | { readonly kind: "constant"; readonly value: Value }
  | { readonly kind: "field"; readonly path: readonly string[]; readonly optional: boolean }
  | { readonly kind: "operator"; readonly operator: Operator }
);

const SPACE = /[ \t\n\v\f\r]*/y;
const NUMBER_RUN = /-?[0-9](?:[eE][+-](?=[0-9])|[0-9.eE])*/y;
const NUMBER = /^-?\d+\.?\d*(?:[eE][+-]?\d+)?$/;
/** Longer numbers are no numbers. */
const NUMBER_LENGTH_MAX = 255;
const PATH = /\.([A-Za-z0-9_-]+)((?:\.[A-Za-z0-9_-]+)*)(\??)/y;
const UNICODE_ESCAPE = /u([0-9a-fA-F]{4})/y;
const LITERALS: Readonly<Record<string, Value>> = { null: null, true: 1, false: 0 };
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" };

/** What stands after an operand cannot begin a number: `5 -3` is 2. */
const takesOperand = (before: Token | undefined): boolean =>
  before === undefined || (before.kind === "operator" && before.operator !== ")");

export class Lexer {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** @throws {VstoreError} ERR, LIMIT */
  tokens(): Token[] {
    const tokens: Token[] = [];
    for (this.#take(SPACE); this.#at < this.#text.length; this.#take(SPACE)) {
      tokens.push(this.#token(takesOperand(tokens.at(-1))));
    }
    return tokens;
  }

  #token(takesOperand: boolean): Token {
    const at = this.#at;
    const character = this.#text[at]!;
    if (this.#isAtNumber(takesOperand)) return { kind: "constant", at, value: this.#number() };
    if (character === '"' || character === "'") return { kind: "constant", at, value: this.#string() };
    if (character === ".") return this.#field();
    if (character === "[") return { kind: "constant", at, value: this.#tuple() };
    for (const [word, value] of Object.entries(LITERALS)) {
      if (this.#skip(word)) return { kind: "constant", at, value };
    }
    const operator = operators.find((each) => this.#skip(each));
    if (operator !== undefined) return { kind: "operator", at, operator };
    throw this.#fault(takesOperand ? "a number, string, field, tuple or 'not'" : "an operator");
  }

  #isAtNumber(minusAllowed: boolean): boolean {
    const first = this.#text[this.#at] === "-" && minusAllowed ? this.#at + 1 : this.#at;
    return isDigit(this.#text[first]);
  }

  #number(): number {
    const at = this.#at;
    const run = this.#take(NUMBER_RUN)![0];
    if (run.length <= NUMBER_LENGTH_MAX && NUMBER.test(run)) return Number(run);
    throw syntaxError(this.#text, at, "a number");
  }

  #string(): string {
    const start = this.#at;
    const quote = this.#text[this.#at++];
    let value = "";
    for (;;) {
      const character = this.#text[this.#at++];
      if (character === undefined) throw syntaxError(this.#text, start, `a string that ends with ${quote}`);
      if (character === quote) return value;
      value += character === "\\" ? this.#escaped() : character;
    }
  }

  /** The character that an escape stands for: as in JSON; any other character stands for itself. */
  #escaped(): string {
    const unicode = this.#take(UNICODE_ESCAPE);
    if (unicode !== null) return String.fromCharCode(Number.parseInt(unicode[1]!, 16));
    const character = this.#text[this.#at] ?? "";
    this.#at += character.length;
    return ESCAPES[character] ?? character;
  }

  #field(): Token {
    const at = this.#at;
    const found = this.#take(PATH);
    if (found !== null) {
      const path = `${found[1]}${found[2]}`.split(".");
      return { kind: "field", at, path, optional: found[3] === "?" };
    }
    // A lone dot at the very end names no field, so it is always missing.
    if (at !== this.#text.length - 1) throw syntaxError(this.#text, at, "a field's name after '.'");
    this.#at++;
    return { kind: "field", at, path: [], optional: false };
  }

  #tuple(): Value {
    const elements: Value[] = [];
    this.#at++;
    for (this.#take(SPACE); !this.#skip("]"); this.#take(SPACE)) {
      elements.push(this.#element());
      if (elements.length > limits.filterElementsMax) {
        throw this.#fault(`at most ${limits.filterElementsMax} elements in a tuple`);
      }
      this.#take(SPACE);
      if (!this.#skip(",") && this.#text[this.#at] !== "]") throw this.#fault("',' or ']' in a tuple");
    }
    return elements;
  }

  #element(): Value {
    const character = this.#text[this.#at];
    if (this.#isAtNumber(true)) return this.#number();
    if (character === '"' || character === "'") return this.#string();
    throw this.#fault("a number, a string or ']' in a tuple");
  }

  #skip(word: string): boolean {
    const found = this.#text.startsWith(word, this.#at);
    if (found) this.#at += word.length;
    return found;
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found !== null) this.#at = pattern.lastIndex;
    return found;
  }

  #fault(expected: string): Error {
    return syntaxError(this.#text, this.#at, expected);
  }
}

const isDigit = (character: string | undefined): boolean =>
  character !== undefined && character >= "0" && character <= "9";
