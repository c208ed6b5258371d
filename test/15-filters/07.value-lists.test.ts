/** Lists of the slots that have a text: whole and in order while slots come, change and die, and rid of dead ones. */
import { expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { ValueLists } from "../../src/engine/filter/value-lists.ts";
import { Bitmap } from "../../src/engine/slots/bitmap.ts";
import { Columns } from "../../src/engine/slots/columns.ts";

const random = generator(testSeed());
const SLOTS = 20_000;

test("slots that live are listed in order, and dead ones are removed a part at a time", () => {
  const live = new Bitmap();
  let slots = 0;
  const source = { attributes: undefined as never, live, slots: () => slots };
  const lists = new ValueLists("scope", source, new Columns());
  const expected = new Map<number, string>();
  const put = (slot: number, scope: string) => {
    live.add(slot);
    expected.set(slot, scope);
    lists.take(slot, { scope });
  };
  const kill = (slot: number) => {
    live.delete(slot);
    expected.delete(slot);
  };
  const check = () => {
    const listed = lists.slotsOf("a");
    const right = [...expected].filter(([, scope]) => scope === "a").map(([slot]) => slot);
    const isListed = new Set(listed);
    expect(right.filter((slot) => !isListed.has(slot))).toEqual([]);
    expect(listed.every((slot, i) => i === 0 || listed[i - 1]! < slot)).toBe(true);
  };
  for (; slots < SLOTS; slots++) put(slots, random() < 0.1 ? "b" : "a");
  for (let use = 0; use < 20; use++) {
    for (let i = 0; i < 1_000; i++) kill(Math.floor(random() * slots));
    for (let i = 0; i < 20; i++) {
      const slot = Math.floor(random() * slots);
      if (live.has(slot)) put(slot, random() < 0.5 ? "a" : "b");
    }
    put(slots++, "a");
    check();
  }
  const churn = () => {
    for (let i = 0; i < 2 * SLOTS; i++) {
      put(slots, "a");
      kill(slots++);
    }
  };
  churn();
  for (let use = 0; use < 10; use++) check();
  expect(lists.slotsOf("a").every((slot) => live.has(slot))).toBe(true);
  for (let slot = 0; slot < slots; slot++) kill(slot);
  churn();
  for (let use = 0; use < 10; use++) lists.slotsOf("a");
  expect(lists.slotsOf("a")).toEqual([]);
});
