/** Turns a tree into a function of the values of its fields. It evaluates every operand, as none has side effects. */
import { isIn } from "./membership.ts";
import type { Binary, Node } from "./parser.ts";
import { areEqual, isTrue, power, toNumber, type Value } from "./value.ts";

/** The value of the expression's field of that number; null for a missing optional one. */
export type FieldReader = (field: number) => Value;
export type Evaluator = (read: FieldReader) => Value;

const ARITHMETIC: Readonly<Partial<Record<Binary, (a: number, b: number) => number>>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "%": (a, b) => a % b,
  "**": power,
  "<": (a, b) => Number(a < b),
  "<=": (a, b) => Number(a <= b),
  ">": (a, b) => Number(a > b),
  ">=": (a, b) => Number(a >= b),
};

/** @param numberOf the number by which a field is read */
export function compile(node: Node, numberOf: (field: Node & { kind: "field" }) => number): Evaluator {
  switch (node.kind) {
    case "constant":
      return () => node.value;
    case "field": {
      const field = numberOf(node);
      return (read) => read(field);
    }
    case "binary":
      return binary(node.operator, compile(node.left, numberOf), compile(node.right, numberOf));
    case "not": {
      const operand = compile(node.operands[0]!, numberOf);
      return (read) => Number(!isTrue(operand(read)));
    }
    default: {
      const operands = node.operands.map((operand) => compile(operand, numberOf));
      if (node.kind === "and") return (read) => Number(operands.every((operand) => isTrue(operand(read))));
      return (read) => Number(operands.some((operand) => isTrue(operand(read))));
    }
  }
}

type NumberTest = (value: number) => boolean;

/**
 * Whether comparisons of one field with constants are true where the field is a number, which takes a fifth of the time
 * of an evaluation; undefined for any other node.
 */
export function numberTest(node: Node): NumberTest | undefined {
  if (node.kind === "and") {
    return node.operands.map(numberTest).reduce((a, b) => a && b && ((value) => a(value) && b(value)));
  }
  if (node.kind !== "binary") return undefined;
  const { operator, left, right } = node;
  if (left.kind === "field" && right.kind === "constant") return comparison(operator, toNumber(right.value));
  if (left.kind !== "constant" || right.kind !== "field") return undefined;
  return comparison(MIRRORED[operator] ?? operator, toNumber(left.value));
}

const MIRRORED: Partial<Record<Binary, Binary>> = { "<": ">", "<=": ">=", ">": "<", ">=": "<=" };

function comparison(operator: Binary, bound: number): NumberTest | undefined {
  if (operator === "<") return (value) => value < bound;
  if (operator === "<=") return (value) => value <= bound;
  if (operator === ">") return (value) => value > bound;
  if (operator === ">=") return (value) => value >= bound;
  return undefined;
}

function binary(operator: Binary, left: Evaluator, right: Evaluator): Evaluator {
  const arithmetic = ARITHMETIC[operator];
  if (arithmetic !== undefined) return (read) => arithmetic(toNumber(left(read)), toNumber(right(read)));
  if (operator === "in") return (read) => Number(isIn(left(read), right(read)));
  if (operator === "==") return (read) => Number(areEqual(left(read), right(read)));
  return (read) => Number(!areEqual(left(read), right(read)));
}
