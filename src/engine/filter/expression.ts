/**
 * A parsed filter expression. It is true of a JSON object when its value is true and each of its fields is there,
 * except those with a question mark. Expressions never change, so one serves all searches that name the same text.
 */
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { compile, type Evaluator } from "./evaluator.ts";
import { type Field, type Node, parse } from "./parser.ts";
import { isTrue, toValue, type Value } from "./value.ts";

export interface ExpressionField {
  readonly path: readonly string[];
  /** Whether the whole expression is false where the field is missing. */
  readonly required: boolean;
}

export class Expression {
  readonly text: string;
  readonly root: Node;
  /** Each path once. */
  readonly fields: readonly ExpressionField[];
  /** Operands and operators: what an evaluation costs, more or less. */
  readonly weight: number;
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #value: Evaluator;

  /** @throws {VstoreError} ERR that names the position; LIMIT */
  constructor(text: string) {
    assertLength(text);
    this.text = text;
    // A C string, as the vector sets take it, ends there.
    this.root = parse(text.split("\0", 1)[0]!);
    this.fields = fieldsOf(this.root);
    this.weight = weightOf(this.root);
    this.#numbers = new Map(this.fields.map(({ path }, number) => [nameOf(path), number]));
    this.#value = compile(this.root, (field) => this.numberOf(field));
  }

  /** The place of the field's path in `fields`. */
  numberOf({ path }: Field): number {
    return this.#numbers.get(nameOf(path))!;
  }

  /** @param json the attributes of a key: an object as JSON.parse gives it */
  matches(json: object): boolean {
    const values: Value[] = [];
    for (const { path, required } of this.fields) {
      const value = lookUp(json, path);
      if (value === undefined && required) return false;
      values.push(value ?? null);
    }
    return isTrue(this.#value((field) => values[field]!));
  }
}

/** The value at a path, undefined where there is nothing. An empty path leads nowhere. */
export function lookUp(json: object, path: readonly string[]): Value | undefined {
  let at: unknown = path.length === 0 ? undefined : json;
  for (const name of path) {
    if (typeof at !== "object" || at === null || Array.isArray(at) || !Object.hasOwn(at, name))
      return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return toValue(at);
}

/** A path as text; no name has a dot in it. */
export const nameOf = (path: readonly string[]): string => path.join(".");

function assertLength(text: string): void {
  const { filterBytesMax } = limits;
  const bytes = Buffer.byteLength(text);
  if (bytes <= filterBytesMax) return;
  throw new VstoreError(
    "LIMIT",
    `the FILTER expression must be at most ${filterBytesMax} bytes, got ${bytes}`,
  );
}

function weightOf(node: Node): number {
  if (node.kind === "binary") return 1 + weightOf(node.left) + weightOf(node.right);
  if (node.kind === "constant" || node.kind === "field") return 1;
  return node.operands.reduce((sum, operand) => sum + weightOf(operand), 1);
}

/** The fields below a node, each path once; required when one of its mentions is. */
export function fieldsOf(root: Node): ExpressionField[] {
  const found = new Map<string, ExpressionField>();
  const visit = (node: Node): void => {
    if (node.kind === "constant") return;
    if (node.kind === "binary") {
      visit(node.left);
      visit(node.right);
    } else if (node.kind === "field") {
      const name = nameOf(node.path);
      found.set(name, { path: node.path, required: !node.optional || (found.get(name)?.required ?? false) });
    } else {
      for (const operand of node.operands) visit(operand);
    }
  };
  visit(root);
  return [...found.values()];
}
