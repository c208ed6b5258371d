/** .jsonl: a JSON object on each line. Attributes keep the text that they have there, with all digits of their numbers. */
import { isUtf8 } from "node:buffer";
import type { Row } from "../../bridge/transfer/row.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteTarget } from "./byte-target.ts";
import { vectorText } from "./cells.ts";
import { type Cells, Columns } from "./columns.ts";
import { type Choice, type Format, type Input, type Output, type Page, pageOf, RowFault } from "./format.ts";
import { members } from "./json-members.ts";

/** Of an export, for keys that are no UTF-8. */
const bytesKey = "key_base64";

export const jsonLines: Format = {
  endings: [".jsonl", ".ndjson"],
  hasKeys: true,
  read,
  write: (target) => new JsonLinesOutput(target),
};

interface Line {
  readonly text: string;
  readonly position: number;
  readonly place: number;
}

/** The names of the first object are those of all. */
async function read(source: ByteReader, choice: Choice): Promise<Input> {
  const lines = numbered(source.lines());
  const first = await lines.next();
  const begin = first.done ? undefined : first.value[0];
  const names = begin === undefined ? ["key", "vector"] : Object.keys(parse(begin.text));
  const columns = new Columns(
    names.map((name) => (name === bytesKey ? "key" : name)),
    choice,
  );
  async function* pages(): AsyncGenerator<Page> {
    for (let { value, done } = first; !done; { value, done } = await lines.next()) {
      const wanted = (value as Line[]).filter(({ position }) => position >= choice.skip);
      if (wanted.length === 0) continue;
      const spare = columns.hasKey ? [] : await choice.keys.take(wanted[0]!.position, wanted.length);
      const start = wanted[0]!.position;
      yield pageOf(
        wanted,
        ({ position, place }) => ({ position, place }),
        ({ text, position }) => columns.row(new JsonCells(text), spare[position - start]),
      );
    }
  }
  return { unit: "line", says: columns.says, pages };
}

/** Empty lines are no rows. */
async function* numbered(pages: AsyncGenerator<string[]>): AsyncGenerator<Line[]> {
  let [position, place] = [0, 0];
  for await (const texts of pages) {
    const lines: Line[] = [];
    for (const text of texts) {
      place++;
      if (text.trim() !== "") lines.push({ text, position: position++, place });
    }
    if (lines.length > 0) yield lines;
  }
}

function parse(text: string): Record<string, unknown> {
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

  constructor(text: string) {
    this.#text = text;
    this.#object = parse(text);
  }

  cell(column: string): unknown {
    if (column === "attributes" && typeof this.#object.attributes === "string")
      throw new RowFault("'attributes' is a text, not a JSON object");
    const value = this.#object[column];
    const bytes = this.#object[bytesKey];
    return column === "key" && value === undefined && typeof bytes === "string"
      ? Buffer.from(bytes, "base64")
      : value;
  }

  json(column: string): string | undefined {
    const value = this.#object[column];
    if (value === undefined || value === null) return undefined;
    this.#members ??= members(this.#text);
    return this.#members.get(column);
  }
}

class JsonLinesOutput implements Output {
  readonly #target: ByteTarget;

  constructor(target: ByteTarget) {
    this.#target = target;
  }

  write({ key, vector, attributes }: Row): Promise<void> | undefined {
    const isText = typeof key === "string" || isUtf8(key);
    const name = isText
      ? `"key":${JSON.stringify(key.toString())}`
      : `"${bytesKey}":"${(key as Buffer).toString("base64")}"`;
    // Outside its texts JSON may have ends of lines, in them it has none.
    const rest = attributes ? `,"attributes":${attributes.replaceAll(/[\r\n]/g, " ")}` : "";
    return this.#target.write(`{${name},"vector":${vectorText(vector)}${rest}}\n`);
  }

  async finish(): Promise<void> {}
}
