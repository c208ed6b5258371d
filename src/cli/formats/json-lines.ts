/** .jsonl: a JSON object on each line. Attributes keep the text that they have there, with all digits of numbers. */
import { isUtf8 } from "node:buffer";
import type { Row } from "../../bridge/transfer/row.ts";
import type { ByteReader, Line as Text } from "./byte-reader.ts";
import type { ByteTarget } from "./byte-target.ts";
import { vectorText } from "./cells.ts";
import { type Cells, Columns, expiresName } from "./columns.ts";
import {
  type Choice,
  type Format,
  type Input,
  type Output,
  type Page,
  pageOf,
  RowFault,
  type Shape,
} from "./format.ts";
import { members } from "./json-members.ts";

/** Of an export, for keys that are no UTF-8. */
const bytesKey = "key_base64";
/** At the beginning, for the names that there are. */
const linesLookedAt = 100;

export const jsonLines: Format = {
  endings: [".jsonl", ".ndjson"],
  hasKeys: true,
  hasExpireTimes: true,
  read,
  write: (target, shape) => new JsonLinesOutput(target, shape),
};

interface Line {
  readonly text: Text;
  readonly position: number;
  readonly place: number;
}

/**
 * The names of the first objects are those of all. `attributes` is looked for in every one; where the first have none,
 * a row without leaves those that its key has.
 */
async function read(source: ByteReader, choice: Choice): Promise<Input> {
  const lines = numbered(source.lines());
  const first = await lines.next();
  const names = namesOf(first.value ?? []);
  const known = choice.attributes === undefined ? new Set([...names, "attributes"]) : names;
  const columns = new Columns([...known], choice);
  async function* pages(): AsyncGenerator<Page> {
    for (let { value, done } = first; !done; { value, done } = await lines.next()) {
      const wanted = (value as Line[]).filter(({ position }) => position >= choice.skip);
      if (wanted.length === 0) continue;
      const spare = columns.hasKey ? [] : await choice.keys.take(wanted[0]!.position, wanted.length);
      const start = wanted[0]!.position;
      yield pageOf(
        wanted,
        ({ position, place }) => ({ position, place }),
        ({ text, position }) => {
          const row = columns.row(new JsonCells(text), spare[position - start]);
          return row.attributes === "" && !names.has("attributes") ? { ...row, attributes: undefined } : row;
        },
      );
    }
  }
  return { unit: "line", says: columns.says, pages };
}

function namesOf(lines: readonly Line[]): Set<string> {
  const names = new Set<string>(lines.length === 0 ? ["key", "vector"] : []);
  for (const { text } of lines.slice(0, linesLookedAt)) {
    try {
      for (const name of Object.keys(parse(text))) names.add(name === bytesKey ? "key" : name);
    } catch (error) {
      // It is reported when it is read as a row.
      if (!(error instanceof RowFault)) throw error;
    }
  }
  return names;
}

/** Empty lines are no rows. */
async function* numbered(pages: AsyncGenerator<Text[]>): AsyncGenerator<Line[]> {
  let [position, place] = [0, 0];
  for await (const texts of pages) {
    const lines: Line[] = [];
    for (const text of texts) {
      place++;
      if (text?.trim() !== "") lines.push({ text, position: position++, place });
    }
    if (lines.length > 0) yield lines;
  }
}

function parse(text: Text): Record<string, unknown> {
  if (text === undefined) throw new RowFault("the line is not UTF-8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RowFault((error as Error).message);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new RowFault("no JSON object");
}

class JsonCells implements Cells {
  readonly #text: string;
  readonly #object: Record<string, unknown>;
  #members: Map<string, string> | undefined;

  constructor(text: Text) {
    this.#object = parse(text);
    this.#text = text!;
  }

  cell(column: string): unknown {
    if (column === "attributes" && typeof this.#object.attributes === "string")
      throw new RowFault("'attributes' is a text, not a JSON object");
    const value = this.#object[column];
    // A whole number of 64 bits has lost its last digits as a number.
    if (typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER) return this.#textOf(column);
    const bytes = this.#object[bytesKey];
    return column === "key" && value === undefined && typeof bytes === "string"
      ? Buffer.from(bytes, "base64")
      : value;
  }

  json(column: string): string | undefined {
    const value = this.#object[column];
    return value === undefined || value === null ? undefined : this.#textOf(column);
  }

  #textOf(column: string): string | undefined {
    this.#members ??= members(this.#text);
    return this.#members.get(column);
  }
}

class JsonLinesOutput implements Output {
  readonly #target: ByteTarget;
  /** All lines have the member, as the first lines tell an import what there is. */
  readonly #hasExpireTimes: boolean;

  constructor(target: ByteTarget, { hasExpireTimes }: Shape) {
    this.#target = target;
    this.#hasExpireTimes = hasExpireTimes;
  }

  write({ key, vector, attributes, expiresAt }: Row): Promise<void> | undefined {
    const isText = typeof key === "string" || isUtf8(key);
    const name = isText
      ? `"key":${JSON.stringify(key.toString())}`
      : `"${bytesKey}":"${(key as Buffer).toString("base64")}"`;
    // Outside its texts JSON may have ends of lines, in them it has none.
    const rest = attributes ? `,"attributes":${attributes.replaceAll(/[\r\n]/g, " ")}` : "";
    const expires = this.#hasExpireTimes ? `,"${expiresName}":${expiresAt ?? null}` : "";
    return this.#target.write(`{${name},"vector":${vectorText(vector)}${rest}${expires}}\n`);
  }

  async finish(): Promise<void> {}
}
