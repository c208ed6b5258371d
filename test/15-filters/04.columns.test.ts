/** Expressions over columns against the same over each JSON: with numbers beyond a dictionary, and holes. */
import { expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { ChangeLog } from "../../src/engine/filter/change-log.ts";
import { expressionOf } from "../../src/engine/filter/expressions.ts";
import { MatchSet, type MatchSource } from "../../src/engine/filter/match-set.ts";
import { Bitmap } from "../../src/engine/slots/bitmap.ts";
import { Columns } from "../../src/engine/slots/columns.ts";

const SLOTS = 20_011;
const random = generator(testSeed());
const below = (limit: number) => Math.floor(random() * limit);
const oneOf = <T>(values: readonly T[]) => values[below(values.length)]!;

function document(): object | undefined {
  if (random() < 0.1) return undefined;
  // More numbers than a dictionary has, and what compares as a number though it is none.
  const price =
    random() < 0.8 ? random() * 100 : oneOf([50, -0, "50", "", "many", null, true, [1, 2], { a: 1 }]);
  const city = oneOf(["rome", "oslo", "50", 7]);
  return { ...(random() < 0.9 && { price }), ...(random() < 0.9 && { city }), shop: { size: below(50) } };
}

const terms = [
  () => `.price ${oneOf(["<", "<=", ">", ">=", "==", "!="])} ${oneOf(["50", '"50"', "null", "[1]", "0"])}`,
  () => `${oneOf(["10", "50.5", '"x"'])} ${oneOf(["<", "<=", ">", ">="])} .price`,
  () => `.price? ${oneOf(["<", ">="])} ${below(100)}`,
  () => `.price + 1 > ${below(100)}`,
  () => `.city ${oneOf(["==", "!="])} ${oneOf(['"rome"', "50", "7"])}`,
  () => '.city in ["oslo", 7]',
  () => `.shop.size < ${below(50)}`,
  () => ".shop.size > .price",
  () => ".absent? == null",
];

function expressionText(): string {
  const parts = Array.from({ length: 1 + below(3) }, () => `${oneOf(["", "", "not "])}(${oneOf(terms)()} )`);
  return parts.join(` ${oneOf(["and", "or"])} `);
}

test("an expression is true of the same slots over columns as over their JSON", () => {
  const columns = new Columns();
  const live = new Bitmap();
  const documents = Array.from({ length: SLOTS }, document);
  for (const [slot, json] of documents.entries()) {
    columns.set(slot, json);
    if (random() < 0.9) live.add(slot);
  }
  expect(columns.of(["price"])!.numbers.length).toBeGreaterThan(0);
  const attributes = { parsed: (slot: number) => documents[slot] } as MatchSource["attributes"];
  const source = { attributes, live, slots: () => SLOTS };
  for (let i = 0; i < 100; i++) {
    const expression = expressionOf(expressionText());
    const changes = new ChangeLog();
    changes.add(0, SLOTS);
    const set = new MatchSet(expression, source, columns);
    while (set.step(changes, changes.end));
    const right = documents.flatMap((json, slot) =>
      json !== undefined && live.has(slot) && expression.matches(json) ? [slot] : [],
    );
    expect([...set.bitmap.slots()], expression.text).toEqual(right);
    expect(set.bitmap.count).toBe(right.length);
  }
});
