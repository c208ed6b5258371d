/**
 * The input of `vstore import --from-pgvector`: a table of PostgreSQL, by a cursor within one snapshot. The server
 * turns attributes into JSON and vectors into text, which has every digit that a float32 needs.
 */
import type { Client } from "pg";
import { UseError } from "../../exit.ts";
import { type Cells, Columns } from "../../formats/columns.ts";
import { type Choice, type Input, type Page, pageOf } from "../../formats/format.ts";
import { type Mark, Marks } from "../marks.ts";
import { pgPackage } from "../packages.ts";
import { PageSize } from "./page-size.ts";

const vectorTypes = ["vector", "halfvec"];

export interface Source {
  readonly input: Input;
  close(): Promise<void>;
}

/** @throws UseError when there is no such table, or no column of it is the vector */
export async function pgvector(url: string, table: string, choice: Choice): Promise<Source> {
  const { Client } = await pgPackage();
  const client = new Client({ connectionString: url, application_name: "vstore-import" });
  // The query that is under way fails too.
  client.on("error", () => {});
  const close = async () => {
    await client.query("ROLLBACK").catch(() => {});
    await client.end().catch(() => {});
  };
  try {
    await client.connect();
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    return { input: await inputOf(client, table, choice), close };
  } catch (error) {
    await close();
    if (error instanceof UseError) throw error;
    throw new UseError(`--from-pgvector: ${(error as Error).message}`);
  }
}

async function inputOf(client: Client, table: string, choice: Choice): Promise<Input> {
  const name = await quotedName(client, table);
  const described = await columnsOf(client, name);
  const columns = new Columns(
    described.map(({ name }) => name),
    {
      ...choice,
      key: choice.key ?? onlyOne(described.filter(({ isKey }) => isKey)),
      vector: choice.vector ?? onlyOne(described.filter(({ type }) => vectorTypes.includes(type))),
    },
  );
  const texts = [...columns.used];
  const jsons = texts.filter((column) => !columns.vectors.includes(column));
  const selected = [
    ...texts.map((column) => `${quoted(column)}::text`),
    ...jsons.map((column) => `to_json(${quoted(column)})::text`),
  ];
  const order = choice.goesOn && orderOf(client, table, columns, described, choice.goesOn);
  await client.query(
    `DECLARE vstore_import NO SCROLL CURSOR FOR SELECT ${selected.join(", ")} FROM ${name} ${order ?? ""}`,
  );
  const at = { text: placesOf(texts, 0), json: placesOf(jsons, texts.length) };
  const marks = choice.goesOn && new Marks(choice.goesOn);
  const input = { unit: "row" as const, says: columns.says };
  return { ...input, ...(marks && { marks }), pages: () => pages(client, columns, at, choice, marks) };
}

/**
 * From the key on at which a page began. Keys may be there several times, so that one is read again.
 *
 * @throws UseError when there is no column to go by
 */
function orderOf(
  client: Client,
  table: string,
  { key }: Columns,
  described: readonly Described[],
  { text }: Mark,
): string {
  if (key === undefined)
    throw new UseError(
      `--resume needs a column of keys (--key): without it the rows of ${table} come in no order that another run repeats`,
    );
  const { declared } = described.find(({ name }) => name === key)!;
  const rest =
    text === undefined ? "" : `WHERE ${quoted(key)} >= ${client.escapeLiteral(text)}::${declared} `;
  return `${rest}ORDER BY ${quoted(key)}`;
}

interface Places {
  readonly text: ReadonlyMap<string, number>;
  readonly json: ReadonlyMap<string, number>;
}

type Cell = string | null;

async function* pages(
  client: Client,
  columns: Columns,
  at: Places,
  { keys, goesOn }: Choice,
  marks: Marks | undefined,
): AsyncGenerator<Page> {
  const size = new PageSize();
  for (let position = goesOn?.position ?? 0; ; ) {
    const { rows } = await client.query<Cell[]>({
      text: `FETCH ${size.rows} FROM vstore_import`,
      rowMode: "array",
    });
    if (rows.length === 0) return;
    const begin = position;
    const first = columns.key === undefined ? null : new TableCells(rows[0]!, at).cell(columns.key);
    if (first !== null) marks?.add(begin, first);
    const spare = columns.hasKey ? [] : await keys.take(begin, rows.length);
    yield pageOf(
      rows.map((cells, i) => ({ cells, i })),
      ({ i }) => ({ position: begin + i, place: begin + i + 1 }),
      ({ cells, i }) => columns.row(new TableCells(cells, at), spare[i]),
    );
    position += rows.length;
    const bytes = rows.reduce(
      (sum, cells) => sum + cells.reduce((all, cell) => all + (cell?.length ?? 0), 0),
      0,
    );
    size.learn(rows.length, bytes);
  }
}

class TableCells implements Cells {
  readonly #cells: readonly Cell[];
  readonly #at: Places;

  constructor(cells: readonly Cell[], at: Places) {
    this.#cells = cells;
    this.#at = at;
  }

  cell(column: string): Cell {
    return this.#cells[this.#at.text.get(column)!]!;
  }

  json(column: string): string | undefined {
    return this.#cells[this.#at.json.get(column)!] ?? undefined;
  }
}

/** With its schema, and quoted as far as necessary. @throws Error when there is no such table */
async function quotedName(client: Client, table: string): Promise<string> {
  const { rows } = await client.query<[string]>({
    text: "SELECT $1::regclass::text",
    values: [table],
    rowMode: "array",
  });
  return rows[0]![0];
}

interface Described {
  readonly name: string;
  readonly type: string;
  /** As a cast names it. */
  readonly declared: string;
  /** Whether the primary key has it. */
  readonly isKey: boolean;
}

async function columnsOf(client: Client, table: string): Promise<Described[]> {
  const { rows } = await client.query<[string, string, string, boolean]>({
    text: `SELECT attname, typname, format_type(atttypid, atttypmod), EXISTS
        (SELECT FROM pg_index WHERE indrelid = attrelid AND indisprimary AND attnum = ANY (indkey))
      FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
      WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    values: [table],
    rowMode: "array",
  });
  return rows.map(([name, type, declared, isKey]) => ({ name, type, declared, isKey }));
}

const onlyOne = (columns: readonly Described[]) => (columns.length === 1 ? columns[0]!.name : undefined);
const quoted = (column: string): string => `"${column.replaceAll('"', '""')}"`;
const placesOf = (columns: readonly string[], first: number) =>
  new Map(columns.map((column, i) => [column, first + i]));
