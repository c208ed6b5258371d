/**
 * Tokens to a tree, by operator precedence (Dijkstra's shunting yard). As in the filters of Redis vector sets, an
 * operator needs enough operands before it when its turn comes, and one value must be left: `.a 25 ==` means `.a ==
 * 25`.
 */
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { Lexer, type Operator, type Token } from "./lexer.ts";
import { syntaxError } from "./syntax-error.ts";
import type { Value } from "./value.ts";

export type Logic = "and" | "or" | "not";
export type Binary = "+" | "-" | "*" | "/" | "%" | "**" | "<" | "<=" | ">" | ">=" | "==" | "!=" | "in";

/** `and` and `or` have any number of operands. */
export type Node =
  | { readonly kind: "constant"; readonly value: Value }
  | Field
  | { readonly kind: Logic; readonly operands: Node[] }
  | { readonly kind: "binary"; readonly operator: Binary; readonly left: Node; readonly right: Node };

export interface Field {
  readonly kind: "field";
  /** Names from the outermost object inwards; none is a field that is always missing. */
  readonly path: readonly string[];
  /** Null where it is missing, instead of making the whole expression false. */
  readonly optional: boolean;
}

/** A node, where it begins in the text, and how deep it is: for errors and limits. */
interface Built {
  readonly node: Node;
  readonly at: number;
  readonly depth: number;
}

type Word = Exclude<Operator, "(" | ")">;
type OperatorToken = Token & { readonly kind: "operator" };

const PRECEDENCE = {
  ...{ "!": 6, not: 6, "**": 5 },
  ...{ "*": 4, "/": 4, "%": 4, "+": 3, "-": 3 },
  ...{ ">": 2, ">=": 2, "<": 2, "<=": 2, "==": 2, "!=": 2, in: 2 },
  ...{ and: 1, "&&": 1, or: 0, "||": 0 },
} as const satisfies Record<Word, number>;
/** Operators that group from the right: of two in a row the second is applied first. */
const FROM_THE_RIGHT: ReadonlySet<Operator> = new Set(["!", "not", "**"]);
const LOGIC: Readonly<Partial<Record<Operator, Logic>>> = {
  ...{ and: "and", "&&": "and", or: "or", "||": "or", not: "not", "!": "not" },
};

/** @throws {VstoreError} ERR that names the position; LIMIT */
export function parse(text: string): Node {
  const parser = new Parser(text);
  for (const token of new Lexer(text).tokens()) parser.take(token);
  return parser.end();
}

class Parser {
  readonly #text: string;
  readonly #values: Built[] = [];
  readonly #operators: OperatorToken[] = [];
  #nodes = 0;
  #lookedInto = 0;

  constructor(text: string) {
    this.#text = text;
  }

  take(token: Token): void {
    if (token.kind !== "operator") {
      const { at, ...node } = token;
      this.#push(node, at, 0);
    } else if (token.operator === ")") {
      this.#close(token);
    } else {
      if (token.operator !== "(") this.#applyBefore(token.operator);
      this.#operators.push(token);
    }
  }

  end(): Node {
    for (let top = this.#operators.pop(); top !== undefined; top = this.#operators.pop()) {
      if (top.operator === "(")
        throw syntaxError(this.#text, this.#text.length, `')' for the '(' at position ${top.at + 1}`);
      this.#apply(top);
    }
    const [first, second] = this.#values;
    if (second !== undefined) throw syntaxError(this.#text, second.at, "an operator");
    if (first === undefined) throw syntaxError(this.#text, this.#text.length, "a value");
    return first.node;
  }

  #close(token: OperatorToken): void {
    for (let top = this.#operators.pop(); top?.operator !== "("; top = this.#operators.pop()) {
      if (top === undefined) throw syntaxError(this.#text, token.at, "a '(' before this ')'");
      this.#apply(top);
    }
  }

  /** Applies the operators that bind at least as tightly as the next one. */
  #applyBefore(next: Word): void {
    for (let top = this.#operators.at(-1); top !== undefined; top = this.#operators.at(-1)) {
      const { operator } = top;
      if (operator === "(" || operator === ")") return;
      const difference = PRECEDENCE[operator] - PRECEDENCE[next];
      if (difference < 0 || (difference === 0 && FROM_THE_RIGHT.has(next))) return;
      this.#operators.pop();
      this.#apply(top);
    }
  }

  #apply({ operator, at }: OperatorToken): void {
    const logic = LOGIC[operator];
    const right = this.#operand(operator, at);
    if (logic === "not") {
      this.#push({ kind: logic, operands: [right.node] }, at, right.depth + 1);
      return;
    }
    const left = this.#operand(operator, at);
    const start = Math.min(left.at, right.at);
    if (logic === undefined) {
      if (operator === "in" && right.node.kind !== "constant") this.#countLookedInto();
      const sides = { left: left.node, right: right.node };
      const node = { kind: "binary", operator: operator as Binary, ...sides } as const;
      this.#push(node, start, Math.max(left.depth, right.depth) + 1);
      return;
    }
    // A long chain stays as deep as its deepest operand.
    const depths = [left, right].map(({ node, depth }) => (node.kind === logic ? depth : depth + 1));
    this.#push({ kind: logic, operands: joined(logic, left.node, right.node) }, start, Math.max(...depths));
  }

  #operand(operator: Operator, at: number): Built {
    const operand = this.#values.pop();
    if (operand !== undefined) return operand;
    throw syntaxError(
      this.#text,
      at,
      `${LOGIC[operator] === "not" ? "a value" : "a value on each side"} of '${operator}'`,
    );
  }

  /** What is looked into may be as long as all attributes of a key. */
  #countLookedInto(): void {
    const { filterInFieldsMax } = limits;
    if (++this.#lookedInto > filterInFieldsMax)
      throw tooLarge(`has more than ${filterInFieldsMax} times 'in' with a field after it`);
  }

  #push(node: Node, at: number, depth: number): void {
    const { filterNodesMax, filterDepthMax } = limits;
    if (++this.#nodes > filterNodesMax)
      throw tooLarge(`has more than ${filterNodesMax} operands and operators`);
    if (depth > filterDepthMax) throw tooLarge(`nests its operators more than ${filterDepthMax} deep`);
    this.#values.push({ node, at, depth });
  }
}

function tooLarge(what: string): VstoreError {
  return new VstoreError("LIMIT", `the FILTER expression ${what}`);
}

/** Appends to the chain on the left, which nothing else refers to. */
function joined(logic: Logic, left: Node, right: Node): Node[] {
  const operands = left.kind === logic ? left.operands : [left];
  if (right.kind === logic) for (const operand of right.operands) operands.push(operand);
  else operands.push(right);
  return operands;
}
