/** Expressions with documents and right answers; the language is that of the filters of Redis vector sets. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Expression } from "../../src/engine/filter/expression.ts";
import { VstoreError } from "../../src/errors.ts";
import { limits } from "../../src/limits.ts";

interface Case {
  readonly expr: string;
  readonly json: string;
  readonly match: boolean | "error";
}

const cases: Case[] = JSON.parse(readFileSync(new URL("cases.json", import.meta.url), "utf8"));

function outcome(text: string, json: string): boolean | "error" {
  try {
    return new Expression(text).matches(JSON.parse(json));
  } catch (error) {
    if (error instanceof VstoreError) return "error";
    throw error;
  }
}

test.each(cases)("$expr is $match", ({ expr, json, match }) => {
  expect(outcome(expr, json)).toBe(match);
});

/** [expression, attributes, answer] of what the cases above leave open. */
const more: [string, object, boolean | "error"][] = [
  // Numbers.
  ["5. == 5 and 007 == 7 and 1E2 == 100", {}, true],
  ["1e5-3 == 99997", {}, true],
  ["5--3 == 8 and (5) -3 == 2 and 5 -3 == 2 and 5-3 == 2", {}, true],
  ["-5 < 0 and 0 > -.5", {}, "error"],
  ["-.a", { a: 1 }, "error"],
  ["-(1)", {}, "error"],
  ["1.2.3", {}, "error"],
  ["5e", {}, "error"],
  ["0x10", {}, "error"],
  [`${"1".repeat(255)} > 1`, {}, true],
  [`${"1".repeat(256)} > 1`, {}, "error"],
  ["1e999 == 1e999 and 1e999 > 1", {}, true],
  [".5 == 1", { "5": 1 }, true],
  // Operators.
  ["!2 ** 2 == 0", {}, true],
  ["not .a == 1", { a: 1 }, false],
  ["!!.a and not not .a and ! ! !.a", { a: 1 }, false],
  ["1 and2 and not.a", { a: 0 }, true],
  [".a 25 == ", { a: 25 }, true],
  ["== .a 25", { a: 25 }, true],
  ["() 1", {}, true],
  [".a not", { a: 0 }, true],
  ["-7 % 3 == -1 and 7 % -3 == 1", {}, true],
  ["1 / 0 > 1 and 0 / 0 != 0 / 0 and 5 % 0 != 5 % 0", {}, true],
  ["1 ** (0 / 0) == 1 and (-1) ** (1 / 0) == 1 and 2 ** -1 == 1 / 2", {}, true],
  ["0 / 0", {}, true],
  ["1 < 0 / 0 or 1 >= 0 / 0", {}, false],
  ["orange", {}, "error"],
  ["1 <> 2", {}, "error"],
  ["1 =< 2", {}, "error"],
  ["1 & 2", {}, "error"],
  ["NULL == .a?", {}, "error"],
  ["notnull", {}, true],
  [".a == nulland 1", { a: null }, true],
  ["trueish", {}, "error"],
  // Strings.
  ["'it\"s' == .a", { a: 'it"s' }, true],
  ["'it\\'s\\n\\u00e9\\\\' == .a", { a: "it's\né\\" }, true],
  ["'\\q' == 'q'", {}, true],
  ["'open\\'", {}, "error"],
  ["'é' in .a", { a: "café" }, true],
  ["'\ud83d' == .a", { a: "\ud83d" }, true],
  ["'inf' > 1e300 and '-Infinity' < 0 and 'nan' != 'nan' + 0", {}, true],
  ["' \t+0X1.8p1' == 3 and '0x' == 0 and '1 ' == 0 and '.5' == 5e-1", {}, true],
  [`'${"0".repeat(254)}1' == 1`, {}, true],
  [`'${"0".repeat(255)}1' == 1`, {}, false],
  // Tuples.
  ["[] and [] == [1] and [] == 0 and [] == 'x'", {}, true],
  ["[,1]", {}, "error"],
  ["[1 2]", {}, "error"],
  ["[null]", {}, "error"],
  ["[[1]]", {}, "error"],
  ["[.a]", { a: 1 }, "error"],
  ["-1 in [ -1 , 'x' , ]", {}, true],
  ["0 in ['x']", {}, true],
  ["null in .a and not (null in [0])", { a: [null] }, true],
  [".a in .b", { a: [1], b: [[2]] }, true],
  // Fields.
  [".", { a: 1 }, false],
  ["1 or .", { a: 1 }, false],
  [".?", { a: 1 }, "error"],
  [". a", { a: 1 }, "error"],
  [".a. == 1", { a: 1 }, "error"],
  [".é", { é: 1 }, "error"],
  [".a_1-b", { "a_1-b": 1 }, true],
  [".toString", {}, false],
  [".__proto__.x == 1", JSON.parse('{"__proto__":{"x":1}}'), true],
  [".length?", {}, false],
  [".a.length? == null", { a: [1] }, true],
  [".a.b.c == 1", { a: { b: { c: 1 } } }, true],
  [".a? == null", { a: { b: 1 } }, true],
  [".a? == null", { a: [1, [2, { b: 1 }]] }, true],
  [".a? == 1 or .a == 2", {}, false],
  [".n < 1", { n: null }, true],
  [".n == 0 or .n", { n: null }, false],
  [".a == 1 and .b == 0", { a: true, b: false }, true],
  ["true in .a", { a: [true] }, true],
  ["1\0 and garbage (", {}, true],
  ["\0 1", {}, "error"],
  [" \t\n\v\f\r", {}, "error"],
  ["1\u00a0", {}, "error"],
];

test.each(more)("%s of %j is %s", (expr, json, match) => {
  expect(outcome(expr, JSON.stringify(json))).toBe(match);
});

test("arrays may nest as deep as attributes are long", () => {
  const depth = limits.attributesBytesMax / 2 - 8;
  const nested = (inside: string) => `{"a":${"[".repeat(depth)}${inside}${"]".repeat(depth)}}`;
  expect(outcome(".a", nested("1"))).toBe(true);
  expect(outcome(".a", nested("{}"))).toBe(false);
});

describe("a syntax error", () => {
  test.each<[string, number, string]>([
    ["", 1, "expected a value, got the end of it"],
    [".year >", 7, "expected a value on each side of '>', got \">\""],
    [".year > 1980 AND .active", 14, 'expected an operator, got "AND .active"'],
    ["not", 1, "expected a value of 'not', got \"not\""],
    ["(.a > 1", 8, "expected ')' for the '(' at position 1, got the end of it"],
    [".a > 1)", 7, "expected a '(' before this ')', got \")\""],
    [".a == 'x", 7, "expected a string that ends with ', got \"'x\""],
    [".a .b", 4, 'expected an operator, got ".b"'],
    [".a in [1", 9, "expected ',' or ']' in a tuple, got the end of it"],
    [".a == 1.2.3 and", 7, 'expected a number, got "1.2.3 and"'],
    [".a == .", 0, ""],
    [".a == @", 7, "expected a number, string, field, tuple or 'not', got \"@\""],
  ])("of %j names position %i", (text, position, what) => {
    if (position === 0) {
      expect(new Expression(text).matches({ a: 1 })).toBe(false);
      return;
    }
    const message = `syntax error in FILTER expression at position ${position}: ${what}`;
    expect(() => new Expression(text)).toThrow(message);
  });
});

describe("limits", () => {
  const { filterBytesMax, filterNodesMax, filterDepthMax, filterElementsMax } = limits;

  test("the length in bytes", () => {
    const text = (bytes: number) => `1${" ".repeat(bytes - 1)}`;
    expect(new Expression(text(filterBytesMax)).matches({})).toBe(true);
    expect(() => new Expression(text(filterBytesMax + 1))).toThrow(
      `must be at most ${filterBytesMax} bytes, got ${filterBytesMax + 1}`,
    );
  });

  test("operands and operators", () => {
    const chain = (terms: number) => Array.from({ length: terms }, () => ".a").join(" or ");
    expect(new Expression(chain(filterNodesMax / 2)).matches({ a: 1 })).toBe(true);
    expect(() => new Expression(chain(filterNodesMax / 2 + 1))).toThrow(
      `more than ${filterNodesMax} operands`,
    );
  });

  test("the depth of operators; brackets alone have none, nor has a chain", () => {
    const nested = (depth: number) => `${"(".repeat(depth)}1${" + 1)".repeat(depth)}`;
    expect(new Expression(nested(filterDepthMax)).matches({})).toBe(true);
    expect(() => new Expression(nested(filterDepthMax + 1))).toThrow(`more than ${filterDepthMax} deep`);
    expect(() => new Expression(`${"!".repeat(filterDepthMax + 1)}1`)).toThrow(
      `more than ${filterDepthMax} deep`,
    );
    expect(new Expression(`${"(".repeat(20_000)}1${")".repeat(20_000)}`).matches({})).toBe(true);
  });

  test("the elements of a tuple", () => {
    const tuple = (elements: number) => `2 in [${"1,".repeat(elements - 1)}2]`;
    expect(new Expression(tuple(filterElementsMax)).matches({})).toBe(true);
    expect(() => new Expression(tuple(filterElementsMax + 1))).toThrow(
      `at most ${filterElementsMax} elements`,
    );
  });
});
