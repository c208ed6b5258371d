/** Text that is no expression, mostly: it is refused with a position in it, and soon. */
import { expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { Expression } from "../../src/engine/filter/expression.ts";
import { VstoreError } from "../../src/errors.ts";
import { limits } from "../../src/limits.ts";

const TEXTS = 30_000;
const PIECES_MAX = 12;
const PIECES = [
  ..." \t\0.?,;()[]{}+-*/%!=<>&|\"'\\@_$0189eEaxé",
  ...["and", "or", "not", "in", "null", "true", "false", "**", "==", "!=", "&&", "||", "1e-5", ".a", ".b.c?"],
  ...["'x'", '"\\u00e9"', "[1,'x']", "( ", " )", "\ud83d", "1.5"],
];

const document = { a: 1, b: { c: "x" }, x: [1, 2] };
const POSITION = /^syntax error in FILTER expression at position (\d+): expected .+, got .+$/;

/** Undefined when it is an expression after all. */
function refusal(text: string): VstoreError | undefined {
  try {
    expect(typeof new Expression(text).matches(document)).toBe("boolean");
    return undefined;
  } catch (error) {
    if (error instanceof VstoreError) return error;
    throw error;
  }
}

test(`${TEXTS} random texts are expressions or name the position that is wrong`, () => {
  const random = generator(testSeed());
  const pick = (): string => PIECES[Math.floor(random() * PIECES.length)]!;
  let valid = 0;
  for (let i = 0; i < TEXTS; i++) {
    const text = Array.from({ length: 1 + Math.floor(random() * PIECES_MAX) }, pick).join("");
    const error = refusal(text);
    if (error === undefined) {
      valid++;
      continue;
    }
    const position = Number(POSITION.exec(error.message)?.[1] ?? Number.NaN);
    expect(position, `${JSON.stringify(text)}: ${error.message}`).toBeGreaterThanOrEqual(1);
    expect(position).toBeLessThanOrEqual(text.length + 1);
  }
  expect(valid).toBeGreaterThan(TEXTS / 100);
  expect(valid).toBeLessThan(TEXTS / 2);
});

test("the longest texts of one piece, or two in turn, take less than a turn of the event loop may", () => {
  const { filterBytesMax } = limits;
  let slowest = 0;
  for (const piece of [...PIECES, ".a or ", ".a or (", "1 + ", "!(", "[1,", "1 in [1] and "]) {
    const text = piece.repeat(Math.ceil(filterBytesMax / piece.length)).slice(0, filterBytesMax / 3);
    const start = performance.now();
    refusal(text);
    slowest = Math.max(slowest, performance.now() - start);
  }
  expect(slowest).toBeLessThan(500);
});
