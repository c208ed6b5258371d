/** Attributes read byte by byte against the same by JSON.parse: what is refused, and what the columns then hold. */
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { readAttributes } from "../../src/commands/grammar/values.ts";
import { crc32 } from "../../src/engine/disk/checksum.ts";
import { Columns } from "../../src/engine/slots/columns.ts";
import { NumberCodes } from "../../src/engine/slots/number-codes.ts";

const RUNS = 1_500;
/** Texts of one layout. */
const TEXTS = 20;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** By JSON.parse alone: the object, or undefined where the text has to be refused. */
function parsed(text: Uint8Array): object | undefined {
  try {
    const json: unknown = JSON.parse(utf8.decode(text));
    return typeof json === "object" && json !== null && !Array.isArray(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

/** Columns that are filled in both ways. */
class Both {
  readonly tested = new Columns();
  readonly reference = new Columns();
  #slots = 0;
  read = 0;

  /** @param slot an old one, whose attributes are replaced; without it the next one */
  take(text: Uint8Array, slot = this.#slots): void {
    if (text.length === 0) return; // it removes attributes
    const json = parsed(text);
    const checked = readAttributes(text);
    expect(checked !== undefined, Buffer.from(text).toString("latin1")).toBe(json !== undefined);
    if (checked === undefined) return;
    expect(checked.text).toBe(text);
    this.reference.set(slot, json);
    if (checked.flat === undefined) this.tested.set(slot, checked.json);
    else this.tested.setFlat(slot, text, checked.flat);
    this.read += Number(checked.flat !== undefined);
    this.#slots = Math.max(this.#slots, slot + 1);
  }

  compare(): void {
    const contents = ({ columns, documents, isFull }: Columns) => ({
      isFull,
      documents: documents.bytes(this.#slots),
      columns: [...columns].map(([name, column]) => ({
        name,
        values: column.known(0, column.distinct),
        bySlot: Array.from({ length: this.#slots }, (_, slot) => column.get(slot)),
        opaque: column.opaque,
      })),
    });
    expect(contents(this.tested)).toStrictEqual(contents(this.reference));
  }
}

const space = fc.oneof(
  { weight: 100, arbitrary: fc.constantFrom("", "", " ", "\n\t", "\r") },
  { weight: 1, arbitrary: fc.constantFrom("\v", "\u00a0", "x") },
);
const name = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.constantFrom("a", "b", "c", "year", "a.b", "__proto__", "constructor", "", "é"),
  },
  { weight: 1, arbitrary: fc.constantFrom("7", "q\\u0062", 'x\\"') },
);
const plainNumber = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => JSON.stringify(number)),
  fc
    .tuple(fc.bigInt({ min: 0n, max: 10n ** 19n }), fc.nat(25))
    .map(([digits, zeros]) => `0.${"0".repeat(zeros)}${digits}`),
  fc
    .tuple(fc.bigInt({ min: -(10n ** 19n), max: 10n ** 19n }), fc.nat(10 ** 9))
    .map(([whole, part]) => `${whole}.${part}`),
);
const oddNumber = fc.constantFrom(
  ...[
    "-0",
    "0",
    "-0.0",
    "0e0",
    "1e400",
    "-1E+400",
    "1e-400",
    "9007199254740993",
    "90071992547409930000",
    "5e-324",
  ],
  ...[
    "1.7976931348623159e308",
    "0.1e1",
    "2E-7",
    "1.",
    ".5",
    "01",
    "-",
    "+1",
    "0x10",
    "1e",
    "1e+",
    "--1",
    "1_0",
  ],
  ...["Infinity", "NaN"],
);
const string = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 8 }).map((text) => JSON.stringify(text)),
  fc.string({ unit: "binary", maxLength: 8 }).map((text) => JSON.stringify(text)),
  fc.constantFrom(
    '"city 1"',
    '"city 2"',
    '"é"',
    '"\u{1f600}"',
    '"\\ud800"',
    '"\u2028"',
    '"a\tb"',
    '"\\u0041"',
    '"1"',
  ),
  fc.nat(300).map((length) => `"${"l".repeat(length)}"`),
);
const nested = fc.constantFrom('{"a":1}', "[1,2]", "[]", "{}", '[{"a":1}]', "[true,null]");
const value = fc.oneof(
  { weight: 14, arbitrary: plainNumber },
  { weight: 14, arbitrary: string },
  { weight: 6, arbitrary: fc.constantFrom("true", "false", "null") },
  { weight: 2, arbitrary: oddNumber },
  { weight: 1, arbitrary: fc.constantFrom("tru", "nul", "True", "falsee", "") },
  { weight: 1, arbitrary: nested },
);

/** Texts with the same names and spaces, with other values. */
const texts = fc.array(fc.record({ name, before: space, after: space }), { maxLength: 4 }).chain((members) =>
  fc.array(
    fc.array(value, { minLength: members.length, maxLength: members.length }).map((values) => {
      const inside = members.map(
        (member, i) => `${member.before}"${member.name}"${member.after}:${values[i]}`,
      );
      return Buffer.from(`{${inside.join(",")}}`);
    }),
    { minLength: 1, maxLength: 8 },
  ),
);

/** One byte of a text is another one, or the text ends there. */
const damage = fc.option(fc.record({ at: fc.nat(80), byte: fc.integer({ min: -1, max: 255 }) }), { freq: 4 });

function damaged(text: Buffer, { at, byte }: { at: number; byte: number }): Buffer {
  if (byte < 0) return text.subarray(0, at);
  const copy = Buffer.from(text);
  if (at < copy.length) copy[at] = byte;
  return copy;
}

test("every text is refused, or fills the columns, as by JSON.parse", () => {
  const both = new Both();
  let read = 0;
  fc.assert(
    fc.property(texts, fc.array(damage, { minLength: TEXTS, maxLength: TEXTS }), (given, damages) => {
      const these = new Both();
      for (const [i, text] of given.entries()) {
        const place = damages[i] ?? undefined;
        these.take(place === undefined ? text : damaged(text, place));
        both.take(text, i);
      }
      these.compare();
      read += these.read;
    }),
    { numRuns: RUNS, seed: testSeed() },
  );
  both.compare();
  expect(read).toBeGreaterThan(RUNS / 4);
});

test("more values than are remembered by their text, and more numbers than a dictionary has", () => {
  const random = generator(testSeed());
  const both = new Both();
  for (let i = 0; i < 12_000; i++) {
    const title = `title ${Math.floor(random() * 10_000)}`;
    const long = "x".repeat(i % 300);
    both.take(
      Buffer.from(JSON.stringify({ price: random(), title, count: i % 7_000, long, isNew: i % 3 === 0 })),
    );
  }
  both.compare();
  expect(both.read).toBeGreaterThan(11_900);
});

test("a text of more fields than there are columns", () => {
  const both = new Both();
  for (const first of [0, 40, 0, 40, 60]) {
    const fields = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${first + i}`, i]));
    both.take(Buffer.from(JSON.stringify(fields)));
    both.take(Buffer.from(JSON.stringify(fields)));
  }
  both.compare();
  expect(both.tested.isFull).toBe(true);
});

test("the codes of numbers are those of a Map", () => {
  const random = generator(testSeed());
  const [codes, map] = [new NumberCodes(), new Map<number, number>()];
  const numbers = [0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, 2 ** 53, 0.1];
  for (let i = 0; i < 10_000; i++) numbers.push(i % 2 === 0 ? Math.floor(random() * 5_000) : random());
  for (const number of numbers) {
    expect(codes.get(number)).toBe(map.get(number));
    if (map.has(number)) continue;
    map.set(number, map.size + 1);
    codes.add(number, map.size);
  }
});

test("a checksum is zlib's, whatever the length and the place", () => {
  const bytes = Buffer.from(Array.from({ length: 600 }, (_, i) => (i * 167 + (i >> 3)) & 0xff));
  for (let length = 0; length < 400; length++) {
    const start = length % 7;
    expect(crc32(bytes, start, start + length)).toBe(zlibCrc32(bytes.subarray(start, start + length)));
  }
});
