/** Commands that look at some keys of the whole: one part after the other, or by chance. */
import { parseArguments } from "../../../commands/grammar/arguments.ts";
import { randmember } from "../../../commands/vectors/randmember.ts";
import { scan } from "../../../commands/vectors/scan.ts";
import type { Reply } from "../../../commands/wire/reply.ts";
import type { Parts } from "../parts.ts";
import type { Handler } from "./handler.ts";
import { sum } from "./reading.ts";

const cursorText = /^\d{1,19}$/;

/**
 * A cursor is that of the part, times the number of parts, plus the part's number. A part that ends leads to the next.
 * Such numbers are larger than those of one collection may be.
 */
export const readScan: Handler = async (parts, args) => {
  const [given, ...options] = parts.wordsOf(args);
  const text = given?.toString("latin1") ?? "";
  const cursor = cursorText.test(text) ? BigInt(text) : undefined;
  // It says what is wrong with the rest, or with a cursor that is no number.
  parseArguments(scan.args, cursor === undefined ? args : [args[0]!, Buffer.from("0"), ...options]);
  const count = BigInt(parts.names.length);
  const part = cursor! % count;
  const words = [String(cursor! / count), ...options];
  const [next, keys] = (await parts.ask(Number(part), "SCAN", words)) as [Buffer, Reply];
  return [String(cursorAfter(part, BigInt(String(next)), count)), keys];
};

function cursorAfter(part: bigint, next: bigint, count: bigint): bigint {
  if (next !== 0n) return next * count + part;
  return part + 1n < count ? part + 1n : 0n;
}

export const readRandmember: Handler = async (parts, args) => {
  const { count } = parseArguments(randmember.args, args);
  const cards = (await parts.askAll("CARD", [])).map(Number);
  const drawn = draw(cards, count ?? 1);
  const keys = (await Promise.all(drawn.map((wanted, part) => randomKeys(parts, part, wanted)))).flat();
  if (count === undefined) return keys[0] ?? null;
  shuffle(keys);
  return keys;
};

async function randomKeys(parts: Parts, part: number, wanted: number): Promise<Buffer[]> {
  return wanted === 0 ? [] : ((await parts.ask(part, "RANDMEMBER", [wanted])) as Buffer[]);
}

/** How many of `wanted` keys that are drawn from all lie in each part: one draw after the other. */
function draw(cards: readonly number[], wanted: number): number[] {
  const left = [...cards];
  const drawn = cards.map(() => 0);
  let total = sum(left);
  for (let i = 0; i < wanted && total > 0; i++, total--) {
    let at = Math.floor(Math.random() * total);
    const part = left.findIndex((cards) => {
      at -= cards;
      return at < 0;
    });
    left[part]!--;
    drawn[part]!++;
  }
  return drawn;
}

/** Fisher and Yates. */
function shuffle(keys: Buffer[]): void {
  for (let i = keys.length - 1; i > 0; i--) {
    const other = Math.floor(Math.random() * (i + 1));
    [keys[i], keys[other]] = [keys[other]!, keys[i]!];
  }
}
