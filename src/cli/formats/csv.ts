/** .csv with a header (RFC 4180). A vector is one column of numbers in brackets, or many columns of one number. */

import { isUtf8 } from "node:buffer";
import { type CsvError, type Info, type Parser, parse } from "csv-parse";
import type { BadRow, Row } from "../../bridge/transfer/row.ts";
import { UseError } from "../exit.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteTarget } from "./byte-target.ts";
import { typedJson, utf8Key, vectorText } from "./cells.ts";
import { type Cells, Columns, expiresName } from "./columns.ts";
import {
  type Choice,
  type Format,
  type Input,
  type Output,
  type Page,
  pageOf,
  type Shape,
} from "./format.ts";

const recordBytesMax = 16 * 1024 * 1024;
/** Has the end of the first line in it. */
const headBytes = 1024 * 1024;

export const csv: Format = {
  endings: [".csv"],
  hasKeys: true,
  hasExpireTimes: true,
  read,
  write: (target, shape) => new CsvOutput(target, shape),
};

/** A record, or why there is none. */
interface Record {
  readonly cells: readonly string[];
  readonly place: number;
  readonly fault?: string;
}

async function read(source: ByteReader, choice: Choice): Promise<Input> {
  const records = recordsOf(source);
  const begin: Record[] = [];
  while (begin.length === 0) {
    const { value, done } = await records.next();
    if (done) break;
    begin.push(...value);
  }
  const head = begin.shift();
  if (head?.fault !== undefined) throw new UseError(`line ${head.place}: ${head.fault}`);
  const names = head?.cells ?? ["key", "vector"];
  const columns = new Columns(names, choice);
  const at = new Map(names.map((name, i) => [name, i]));
  async function* pages(): AsyncGenerator<Page> {
    let position = 0;
    for (let page: readonly Record[] = begin, done: boolean | undefined; !done; ) {
      yield await pageFrom(page, position);
      position += page.length;
      const next = await records.next();
      done = next.done;
      page = next.value ?? [];
    }
  }
  async function pageFrom(page: readonly Record[], position: number): Promise<Page> {
    const start = Math.min(Math.max(choice.skip - position, 0), page.length);
    const wanted = page.slice(start);
    const spare = columns.hasKey ? [] : await choice.keys.take(position + start, wanted.length);
    const numbered = wanted.map((record, i) => ({
      ...record,
      position: position + start + i,
      spare: spare[i],
    }));
    const bad = numbered.filter(({ fault }) => fault !== undefined) as BadRow[];
    const good = numbered.filter(({ fault }) => fault === undefined);
    const rows = pageOf(
      good,
      ({ position, place }) => ({ position, place }),
      ({ cells, spare }) => columns.row(new CsvCells(cells, at), spare),
    );
    return bad.length === 0 ? rows : [...rows, ...bad].sort((a, b) => a.position - b.position);
  }
  return { unit: "line", says: columns.says, pages };
}

async function* recordsOf(source: ByteReader): AsyncGenerator<Record[]> {
  let records: Record[] = [];
  let width: number | undefined;
  const encoding = await source.encoding();
  const ends = await lineEnds(source);
  const parser = parse({
    // Of UTF-8 the bytes come, so that it is known which cells are no UTF-8.
    encoding: encoding === "utf8" ? "latin1" : encoding,
    bom: encoding !== "utf8",
    ...(ends === undefined ? {} : { record_delimiter: ends }),
    skip_empty_lines: true,
    relax_column_count: true,
    skip_records_with_error: true,
    max_record_size: recordBytesMax,
    on_record(raw: string[], { lines: place }: Info) {
      width ??= raw.length;
      const cells = encoding === "utf8" ? decoded(raw) : raw;
      if (cells === undefined) records.push({ cells: [], place, fault: "it is not UTF-8" });
      else if (cells.length === width) records.push({ cells, place });
      else records.push({ cells, place, fault: `${cells.length} columns, not ${width}` });
      return null;
    },
    on_skip(error) {
      records.push({ cells: [], place: Number(error?.lines ?? 0), fault: reason(error) });
    },
  });
  parser.resume();
  for await (const chunk of source.chunks()) {
    await written(parser, chunk);
    if (records.length > 0) yield records;
    records = [];
  }
  await new Promise<void>((resolve) => parser.once("end", resolve).once("error", resolve).end());
  if (records.length > 0) yield records;
}

/** Both ends of lines where there is one of them; else the parser finds out which one there is. */
async function lineEnds(source: ByteReader): Promise<string[] | undefined> {
  const head = await source.read(headBytes);
  source.unread(head);
  return head.includes("\n") ? ["\r\n", "\n"] : undefined;
}

/** @param cells with a character for each byte. @returns undefined where one is not UTF-8 */
function decoded(cells: readonly string[]): string[] | undefined {
  const texts: string[] = [];
  for (const cell of cells) {
    const bytes = isAscii.test(cell) ? undefined : Buffer.from(cell, "latin1");
    if (bytes !== undefined && !isUtf8(bytes)) return undefined;
    texts.push(bytes?.toString() ?? cell);
  }
  return texts;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const isAscii = /^[\x00-\x7f]*$/;

const reason = (error: CsvError | undefined): string =>
  (error?.message ?? "no record").replace(/ at line \d+$/, "");

/** What is in the chunk has been given to on_record then. */
function written(parser: Parser, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    parser.write(chunk, (error) => (error == null ? resolve() : reject(error)));
  });
}

class CsvCells implements Cells {
  readonly #cells: readonly string[];
  readonly #at: ReadonlyMap<string, number>;

  constructor(cells: readonly string[], at: ReadonlyMap<string, number>) {
    this.#cells = cells;
    this.#at = at;
  }

  cell(column: string): string {
    return this.#cells[this.#at.get(column)!]!;
  }

  json(column: string): string | undefined {
    const cell = this.cell(column);
    return cell === "" ? undefined : typedJson(cell);
  }
}

class CsvOutput implements Output {
  readonly #target: ByteTarget;
  readonly #shape: Shape;

  constructor(target: ByteTarget, shape: Shape) {
    this.#target = target;
    this.#shape = shape;
    target.write(`${["key", "vector", ...this.#optional("attributes", expiresName)].join(",")}\n`);
  }

  write({ key, vector, attributes = "", expiresAt }: Row): Promise<void> | undefined {
    const cells = [utf8Key(key), vectorText(vector), ...this.#optional(attributes, String(expiresAt ?? ""))];
    return this.#target.write(`${cells.map(quoted).join(",")}\n`);
  }

  async finish(): Promise<void> {}

  #optional(attributes: string, expires: string): string[] {
    const { hasAttributes, hasExpireTimes } = this.#shape;
    return [...(hasAttributes ? [attributes] : []), ...(hasExpireTimes ? [expires] : [])];
  }
}

const quoted = (cell: string): string => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
