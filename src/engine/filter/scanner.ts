/**
 * An expression over columns, a block of slots at a time. A verdict is NO, YES, or UNSURE where a column does not have
 * the value. `and` is the smallest of its operands, `or` the largest, and the JSON decides the slots that remain
 * UNSURE. A part of the expression with a single field is decided once for each distinct value.
 */

import { type Codes, type Column, MISSING, OPAQUE, PAGE_SLOTS } from "../slots/column.ts";
import type { Columns } from "../slots/columns.ts";
import { compile, type Evaluator, numberTest } from "./evaluator.ts";
import { type Expression, type ExpressionField, fieldsOf, nameOf } from "./expression.ts";
import type { Node } from "./parser.ts";
import { isTrue, type Value } from "./value.ts";

export const NO = 0;
export const UNSURE = 1;
export const YES = 2;
const UNDECIDED = 255;

/** Slots of the largest block. Blocks do not cross pages. */
export const BLOCK_SLOTS = 2_048;
/** Operands and operators of one block: some 2 ms where all are conversions of long texts. */
const BLOCK_WORK = 4 * BLOCK_SLOTS;

/** Slots of a block of the expression: a power of two. */
export function blockSlotsOf({ weight }: Expression): number {
  return Math.min(BLOCK_SLOTS, 2 ** Math.floor(Math.log2(Math.max(1, BLOCK_WORK / weight))));
}

/** Writes the verdicts of the slots of [from, to), a block, to the beginning of `out`. */
type Fill = (from: number, to: number, out: Uint8Array) => void;

/** What a scanner reads, and the tables that it keeps. */
interface Ground {
  readonly columns: Columns;
  readonly tables: VerdictTable[];
}

export class Scanner {
  readonly #fill: Fill;
  readonly #tables: VerdictTable[] = [];

  constructor(expression: Expression, columns: Columns) {
    const ground = { columns, tables: this.#tables };
    const parts = conjoined(expression.root.kind === "and" ? expression.root.operands : [expression.root]);
    // A part that depends on one needed field alone says no itself where the field is missing.
    const alone = parts.map(fieldsOf).filter(({ length }) => length === 1);
    const judged = new Set(alone.map(([field]) => nameOf(field!.path)));
    const needed = expression.fields.filter(({ required }) => required);
    const isNeeded = new Set(needed.map(({ path }) => nameOf(path)));
    const masks = needed
      .filter(({ path }) => !judged.has(nameOf(path)))
      .map((field) => presence(field, ground));
    const documents: Fill = (from, to, out) => {
      for (let slot = from; slot < to; slot++) out[slot - from] = columns.documents.has(slot) ? YES : NO;
    };
    const conditions = parts.map((part) => fillOf(part, ground, isNeeded));
    this.#fill = every([...(needed.length > 0 ? masks : [documents]), ...conditions]);
  }

  /** Bytes of memory, about. */
  get bytes(): number {
    return this.#tables.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Verdicts of the slots of [from, to), which lie in one block. */
  verdicts(from: number, to: number, out: Uint8Array): void {
    this.#fill(from, to, out);
  }
}

/** @param needed fields without which a node of a single field is false */
function fillOf(node: Node, ground: Ground, needed: ReadonlySet<string> = NONE): Fill {
  const fields = fieldsOf(node);
  if (fields.length <= 1) return fillOfField(node, fields[0], ground, needed);
  if (node.kind === "and") return every(conjoined(node.operands).map((operand) => fillOf(operand, ground)));
  if (node.kind === "or") return some(grouped("or", node.operands).map((operand) => fillOf(operand, ground)));
  if (node.kind === "not") return negated(fillOf(node.operands[0]!, ground));
  return fillOfSlots(node, fields, ground.columns);
}

const NONE: ReadonlySet<string> = new Set();

const conjoined = (operands: readonly Node[]): Node[] => grouped("and", operands);

/** Groups operands of the same single field into one. */
function grouped(kind: "and" | "or", operands: readonly Node[]): Node[] {
  const groups = new Map<string, Node[]>();
  const others: Node[] = [];
  for (const operand of operands) {
    const fields = fieldsOf(operand);
    const name = fields.length > 1 ? undefined : nameOf(fields[0]?.path ?? []);
    if (name === undefined) others.push(operand);
    else if (groups.has(name)) groups.get(name)!.push(operand);
    else groups.set(name, [operand]);
  }
  const joined = [...groups.values()].map(
    (group): Node => (group.length === 1 ? group[0]! : { kind, operands: group }),
  );
  return [...joined, ...others];
}

function every(fills: readonly Fill[]): Fill {
  return combined(fills, (out, other, length) => {
    for (let i = 0; i < length; i++) if (other[i]! < out[i]!) out[i] = other[i]!;
  });
}

function some(fills: readonly Fill[]): Fill {
  return combined(fills, (out, other, length) => {
    for (let i = 0; i < length; i++) if (other[i]! > out[i]!) out[i] = other[i]!;
  });
}

type Combine = (out: Uint8Array, other: Uint8Array, length: number) => void;

function combined([first, ...rest]: readonly Fill[], combine: Combine): Fill {
  if (rest.length === 0) return first!;
  let other = new Uint8Array(0);
  return (from, to, out) => {
    if (other.length < to - from) other = new Uint8Array(to - from);
    first!(from, to, out);
    for (const fill of rest) {
      fill(from, to, other);
      combine(out, other, to - from);
    }
  };
}

function negated(fill: Fill): Fill {
  return (from, to, out) => {
    fill(from, to, out);
    for (let i = 0; i < to - from; i++) out[i] = YES - out[i]!;
  };
}

/** Whether a field has a value. */
function presence(field: ExpressionField, ground: Ground): Fill {
  const judge = (value: Value | undefined) => (value === undefined ? NO : YES);
  return decided(field, ground, judge, YES);
}

/** A node of one field at most. */
function fillOfField(
  node: Node,
  field: ExpressionField | undefined,
  ground: Ground,
  needed: ReadonlySet<string>,
): Fill {
  const evaluate = compile(node, () => 0);
  const isNeeded = field !== undefined && needed.has(nameOf(field.path));
  let judged: Value = null;
  const read = () => judged;
  const judge = (value: Value | undefined) => {
    if (value === undefined && isNeeded) return NO;
    judged = value ?? null;
    return isTrue(evaluate(read)) ? YES : NO;
  };
  const test = numberTest(node);
  const judgeNumber = test && ((value: number) => (test(value) ? YES : NO));
  if (field !== undefined) return decided(field, ground, judge, UNSURE, judgeNumber);
  const verdict = judge(undefined);
  return (from, to, out) => {
    out.fill(verdict, 0, to - from);
  };
}

/** @param opaque the verdict of a value that the column does not keep */
function decided(
  { path }: ExpressionField,
  { columns, tables }: Ground,
  judge: (value: Value | undefined) => number,
  opaque: number,
  judgeNumber: (value: number) => number = judge,
): Fill {
  const table = new VerdictTable(judge, opaque, judgeNumber);
  tables.push(table);
  return (from, to, out) => {
    const column = columns.of(path);
    if (column === undefined) out.fill(UNSURE, 0, to - from);
    else table.fill(column, from, to, out);
  };
}

/** The verdicts of a column's values, each computed when the value is met first. */
class VerdictTable {
  readonly #judge: (value: Value | undefined) => number;
  readonly #opaque: number;
  readonly #judgeNumber: (value: number) => number;
  #verdicts = new Uint8Array(0);
  #column: Column | undefined;

  constructor(
    judge: (value: Value | undefined) => number,
    opaque: number,
    judgeNumber: (value: number) => number,
  ) {
    this.#judge = judge;
    this.#opaque = opaque;
    this.#judgeNumber = judgeNumber;
  }

  get bytes(): number {
    return this.#verdicts.length;
  }

  fill(column: Column, from: number, to: number, out: Uint8Array): void {
    this.#follow(column);
    const page = Math.floor(from / PAGE_SLOTS);
    const start = from % PAGE_SLOTS;
    this.#fillCodes(column, column.codes[page], start, to - from, out);
    const numbers = column.numbers[page];
    if (numbers === undefined) return;
    const judge = this.#judgeNumber;
    for (let i = 0; i < to - from; i++) {
      const number = numbers[start + i]!;
      if (!Number.isNaN(number)) out[i] = judge(number);
    }
  }

  #fillCodes(column: Column, codes: Codes | undefined, start: number, length: number, out: Uint8Array): void {
    const verdicts = this.#verdicts;
    if (codes === undefined) {
      out.fill(verdicts[MISSING]!, 0, length);
      return;
    }
    for (let i = 0; i < length; i++) {
      const code = codes[start + i]!;
      let verdict = verdicts[code]!;
      if (verdict === UNDECIDED) {
        verdict = this.#judge(column.values[code]);
        verdicts[code] = verdict;
      }
      out[i] = verdict;
    }
  }

  /** Makes the table fit the column, which may have more values than before. */
  #follow(column: Column): void {
    const isSame = column === this.#column;
    const length = column.values.length;
    if (isSame && length <= this.#verdicts.length) return;
    const grown = new Uint8Array(isSame ? 2 * length : length).fill(UNDECIDED);
    if (isSame) grown.set(this.#verdicts);
    grown[MISSING] = this.#judge(undefined);
    grown[OPAQUE] = this.#opaque;
    this.#verdicts = grown;
    this.#column = column;
  }
}

/** A node that needs the values of several fields together. */
function fillOfSlots(node: Node, fields: readonly ExpressionField[], columns: Columns): Fill {
  const numbers = new Map(fields.map(({ path }, number) => [nameOf(path), number]));
  const evaluate = compile(node, ({ path }) => numbers.get(nameOf(path))!);
  return (from, to, out) => {
    const read = fields.map(({ path }) => columns.of(path));
    for (let slot = from; slot < to; slot++) out[slot - from] = verdictOf(evaluate, read, slot);
  };
}

function verdictOf(evaluate: Evaluator, columns: readonly (Column | undefined)[], slot: number): number {
  const values: Value[] = [];
  for (const column of columns) {
    const found = column === undefined ? null : column.get(slot);
    if (found === null) return UNSURE;
    values.push(found === undefined ? null : found.value);
  }
  return isTrue(evaluate((field) => values[field]!)) ? YES : NO;
}
