/**
 * Random expressions on random documents against an interpreter that knows nothing of the engine's: it walks the tree
 * that the text was printed from. What its strings are as numbers stands in a table.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { testSeed } from "../../harness/random.ts";
import { Expression } from "../../src/engine/filter/expression.ts";

const EXPRESSIONS = 4_000;
const DOCUMENTS = 25;

const numberOfText: Record<string, number> = {
  "": 0,
  abc: 0,
  ab: 0,
  b: 0,
  "10": 10,
  "1e1": 10,
  " -3": -3,
  "10 ": 0,
  "0x1F": 31,
  inf: Number.POSITIVE_INFINITY,
  'q"': 0,
};
const text = fc.constantFrom(...Object.keys(numberOfText));
const number = fc.constantFrom(0, 1, 2, 3, 10, 31, 0.5, 1e5);
const fieldNames = ["a", "b", "c", "o.x", "o.y.z", "gone"];

type Tree =
  | { type: "number"; value: number }
  | { type: "text"; value: string }
  | { type: "word"; word: "null" | "true" | "false" }
  | { type: "tuple"; elements: (number | string)[] }
  | { type: "field"; name: string; optional: boolean }
  | { type: "not"; word: "!" | "not "; operand: Tree }
  | { type: "binary"; operator: string; left: Tree; right: Tree };

const operator = fc.constantFrom(
  ...["==", "!=", "<", "<=", ">", ">=", "in", "and", "or", "&&", "||", "+", "-", "*", "/", "%", "**"],
);

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.record({ type: fc.constant("field"), name: fc.constantFrom(...fieldNames), optional: fc.boolean() }),
    fc.record({ type: fc.constant("number"), value: number }),
    fc.record({ type: fc.constant("text"), value: text }),
    fc.record({ type: fc.constant("word"), word: fc.constantFrom("null", "true", "false") }),
    fc.record({ type: fc.constant("tuple"), elements: fc.array(fc.oneof(number, text), { maxLength: 3 }) }),
    fc.record({ type: fc.constant("not"), word: fc.constantFrom("!", "not "), operand: tie("tree") }),
    fc.record({ type: fc.constant("binary"), operator, left: tie("tree"), right: tie("tree") }),
    fc.record({ type: fc.constant("binary"), operator, left: tie("tree"), right: tie("tree") }),
  ) as fc.Arbitrary<Tree>,
}));

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const leaf: fc.Arbitrary<Json> = fc.oneof(number, text, fc.boolean(), fc.constant(null));
const anything: fc.Arbitrary<Json> = fc.oneof(
  { weight: 6, arbitrary: leaf },
  {
    weight: 2,
    arbitrary: fc.array(fc.oneof(leaf, fc.constant<Json>([1]), fc.constant<Json>({ x: 1 })), {
      maxLength: 3,
    }),
  },
  { weight: 1, arbitrary: fc.constant<Json>({ deep: 1 }) },
);
const document = fc.record(
  {
    a: anything,
    b: anything,
    c: anything,
    o: fc.oneof(anything, fc.record({ x: anything, y: fc.record({ z: anything }, { requiredKeys: [] }) })),
  },
  { requiredKeys: ["a"] },
) as fc.Arbitrary<Record<string, Json>>;

/** Brackets around everything but constants and fields, so that what is printed does not depend on precedence. */
function print(node: Tree): string {
  switch (node.type) {
    case "number":
      return String(node.value);
    case "text":
      return JSON.stringify(node.value);
    case "word":
      return node.word;
    case "tuple":
      return JSON.stringify(node.elements);
    case "field":
      return `.${node.name}${node.optional ? "?" : ""}`;
    case "not":
      return `(${node.word}${print(node.operand)})`;
    case "binary":
      return `(${print(node.left)} ${node.operator} ${print(node.right)})`;
  }
}

class Missing extends Error {}
const hasObject = (json: Json): boolean =>
  Array.isArray(json) ? json.some(hasObject) : typeof json === "object" && json !== null;

function find(json: Json, names: string[]): Json | undefined {
  const [first, ...rest] = names;
  if (first === undefined) return hasObject(json) ? undefined : json;
  if (json === null || typeof json !== "object" || Array.isArray(json) || !(first in json)) return undefined;
  return find(json[first]!, rest);
}

function toNumber(json: Json): number {
  if (typeof json === "string") return numberOfText[json]!;
  return typeof json === "number" || typeof json === "boolean" ? Number(json) : 0;
}

function truth(json: Json): boolean {
  return Array.isArray(json) || (typeof json === "number" && Number.isNaN(json)) || Boolean(json);
}

function equal(a: Json, b: Json): boolean {
  if (a === null || b === null) return a === null && b === null;
  return typeof a === "string" && typeof b === "string" ? a === b : toNumber(a) === toNumber(b);
}

function pow(a: number, b: number): number {
  if (a === 1) return 1;
  return a === -1 && (b === Number.POSITIVE_INFINITY || b === Number.NEGATIVE_INFINITY) ? 1 : a ** b;
}

function apply(name: string, a: Json, b: Json): Json {
  const [x, y] = [toNumber(a), toNumber(b)];
  if (name === "==") return equal(a, b);
  if (name === "!=") return !equal(a, b);
  if (name === "and" || name === "&&") return truth(a) && truth(b);
  if (name === "or" || name === "||") return truth(a) || truth(b);
  if (name === "in") {
    if (typeof b === "string") return typeof a === "string" && b.indexOf(a) >= 0;
    return Array.isArray(b) ? b.filter((each) => equal(a, each)).length > 0 : false;
  }
  if (name === "**") return pow(x, y);
  // Of JavaScript itself, which has these operators and this precedence too.
  return new Function("x", "y", `return x ${name} y`)(x, y) as Json;
}

function interpret(node: Tree, json: Json): Json {
  switch (node.type) {
    case "number":
    case "text":
      return node.value;
    case "word":
      return JSON.parse(node.word) as Json;
    case "tuple":
      return node.elements;
    case "field": {
      const found = find(json, node.name.split("."));
      if (found === undefined && !node.optional) throw new Missing();
      return found ?? null;
    }
    case "not":
      return !truth(interpret(node.operand, json));
    case "binary": {
      const left = interpret(node.left, json);
      return apply(node.operator, left, interpret(node.right, json));
    }
  }
}

function expected(node: Tree, json: Json): boolean {
  try {
    return truth(interpret(node, json));
  } catch (error) {
    if (error instanceof Missing) return false;
    throw error;
  }
}

test(`${EXPRESSIONS * DOCUMENTS} expressions on documents are what a plain interpreter says`, () => {
  let matches = 0;
  fc.assert(
    fc.property(
      tree,
      fc.array(document, { minLength: DOCUMENTS, maxLength: DOCUMENTS }),
      (node, documents) => {
        const expression = new Expression(print(node));
        for (const json of documents) {
          const found = expression.matches(JSON.parse(JSON.stringify(json)) as object);
          matches += Number(found);
          expect([print(node), json, found]).toEqual([print(node), json, expected(node, json)]);
        }
      },
    ),
    { numRuns: EXPRESSIONS, seed: testSeed() },
  );
  expect(matches).toBeGreaterThan(EXPRESSIONS);
  expect(matches).toBeLessThan(EXPRESSIONS * DOCUMENTS - EXPRESSIONS);
});
