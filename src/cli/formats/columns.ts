/** Chooses which columns of a table become key, vector and attributes: by the flags, else by their names. */
import type { Row } from "../../bridge/transfer/row.ts";
import { didYouMean } from "../../engine/similar-name.ts";
import { UseError } from "../exit.ts";
import { keyOf, timeOf, vectorOf } from "./cells.ts";
import { type Choice, type Page, pageOf, RowFault } from "./format.ts";

const keyNames = ["key", "id"];
const vectorNames = ["vector", "embedding"];
/** Holds all attributes of a row as one JSON object; so exports are written. */
const attributesName = "attributes";
/** Where exports write when a key expires, in ms since 1970. */
export const expiresName = "expires_at_ms";

/** A row as its format has it. */
export interface Cells {
  cell(column: string): unknown;
  /** Undefined where there is nothing. @throws RowFault when it cannot be JSON */
  json(column: string): string | undefined;
}

export class Columns {
  readonly #names: readonly string[];
  readonly #choice: Choice;
  readonly #key: string | undefined;
  readonly #vector: readonly string[];
  readonly #attributes: readonly string[] | "whole" | undefined;
  readonly #expires: string | undefined;

  /** @throws UseError when a column is not there, or none is a vector */
  constructor(names: readonly string[], choice: Choice) {
    this.#names = names;
    this.#choice = choice;
    this.#key =
      choice.key === undefined ? keyNames.find((name) => names.includes(name)) : this.#found(choice.key);
    this.#vector = this.#vectorColumns();
    this.#expires = choice.expireTimes && names.includes(expiresName) ? expiresName : undefined;
    this.#attributes = this.#attributeColumns();
    this.#assertOneOfEach();
  }

  get hasKey(): boolean {
    return this.#key !== undefined;
  }

  get key(): string | undefined {
    return this.#key;
  }

  get says(): string {
    const used = this.used;
    const left = this.#names.filter((name) => !used.has(name));
    return [
      `key: ${this.#key ?? this.#choice.keys.says}`,
      `vector: ${this.#vector.length < 4 ? this.#vector.join(", ") : `${this.#vector[0]} to ${this.#vector.at(-1)}`}`,
      `attributes: ${this.#attributeNames.join(", ") || "none"}`,
      ...(this.#expires === undefined ? [] : [`expiry: ${this.#expires}`]),
      ...(left.length === 0 ? [] : [`left out: ${left.join(", ")}`]),
    ].join("; ");
  }

  get vectors(): readonly string[] {
    return this.#vector;
  }

  /** Everything that is read of a row. */
  get used(): ReadonlySet<string> {
    const single = [this.#key, this.#expires].filter((name) => name !== undefined);
    return new Set([...single, ...this.#vector, ...this.#attributeNames]);
  }

  /** @param spare the key of a row without one. @throws RowFault */
  row(cells: Cells, spare: string | undefined): Omit<Row, "position" | "place"> {
    const [first, ...others] = this.#vector as [string, ...string[]];
    const vector =
      others.length === 0
        ? vectorOf(cells.cell(first), first)
        : Float32Array.from(this.#vector, (column) => numberOf(cells.cell(column), column));
    const expires = this.#expires;
    return {
      key: spare ?? this.#ownKey(cells),
      vector,
      attributes: this.#attributesOf(cells),
      expiresAt: expires === undefined ? undefined : timeOf(cells.cell(expires), expires),
    };
  }

  /** Rows that stand one after the other, of which `position` is the first one's. */
  async page(position: number, count: number, cellsOf: (i: number) => Cells): Promise<Page> {
    const spare = this.hasKey ? [] : await this.#choice.keys.take(position, count);
    return pageOf(
      Array.from({ length: count }, (_, i) => i),
      (i) => ({ position: position + i, place: position + i + 1 }),
      (i) => this.row(cellsOf(i), spare[i]),
    );
  }

  get #attributeNames(): readonly string[] {
    return this.#attributes === "whole" ? [attributesName] : (this.#attributes ?? []);
  }

  #ownKey(cells: Cells): string | Buffer {
    return this.#choice.keys.prefixed(keyOf(cells.cell(this.#key!), this.#key!));
  }

  #attributesOf(cells: Cells): string | undefined {
    if (this.#attributes === undefined) return undefined;
    if (this.#attributes === "whole") {
      const cell = cells.cell(attributesName);
      return typeof cell === "string" ? cell : (cells.json(attributesName) ?? "");
    }
    const members = this.#attributes.flatMap((name) => {
      const json = cells.json(name);
      return json === undefined ? [] : [`${JSON.stringify(name)}:${json}`];
    });
    return members.length === 0 ? "" : `{${members.join(",")}}`;
  }

  #vectorColumns(): readonly string[] {
    const { vector } = this.#choice;
    if (vector?.endsWith("*")) {
      const found = this.#names.filter((name) => name.startsWith(vector.slice(0, -1)));
      if (found.length > 0) return found;
      throw new UseError(`--vector: no column begins with '${vector.slice(0, -1)}'; ${this.#all}`);
    }
    if (vector !== undefined) return [this.#found(vector)];
    const found = vectorNames.find((name) => this.#names.includes(name));
    if (found === undefined)
      throw new UseError(`--vector has to say which column is the vector; ${this.#all}`);
    return [found];
  }

  #attributeColumns(): readonly string[] | "whole" | undefined {
    const { attributes } = this.#choice;
    if (attributes === undefined) return this.#names.includes(attributesName) ? "whole" : undefined;
    if (!attributes.includes("*")) return attributes.map((name) => this.#found(name));
    const taken = [this.#key, this.#expires, ...this.#vector];
    return this.#names.filter((name) => !taken.includes(name));
  }

  #found(name: string): string {
    if (this.#names.includes(name)) return name;
    throw new UseError(`there is no column '${name}'${didYouMean(name, this.#names) || `; ${this.#all}`}`);
  }

  /** Of two columns with one name, neither is meant more than the other. */
  #assertOneOfEach(): void {
    const { used } = this;
    const twice = this.#names.find((name, i) => used.has(name) && this.#names.indexOf(name) < i);
    if (twice !== undefined) throw new UseError(`there is more than one column '${twice}'; ${this.#all}`);
  }

  get #all(): string {
    return `there are ${this.#names.join(", ")}`;
  }
}

function numberOf(cell: unknown, column: string): number {
  const number = typeof cell === "string" && cell.trim() !== "" ? Number(cell) : cell;
  if (typeof number === "number" && !Number.isNaN(number)) return number;
  throw new RowFault(`'${column}' is no number`);
}
