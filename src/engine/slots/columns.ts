/**
 * The fields of all attributes as columns, so that a filter need not parse a million JSON texts. They follow from the
 * attributes alone and have named limits. A field beyond a limit has no column, and a value beyond one is OPAQUE;
 * filters read both from the JSON.
 */
import { limits } from "../../limits.ts";
import { nameOf } from "../filter/expression.ts";
import { toValue } from "../filter/value.ts";
import { Bitmap } from "./bitmap.ts";
import { type Budget, Column, type SavedColumn } from "./column.ts";
import type { Flat, FlatShape } from "./flat-json.ts";

/** Names that a filter can contain. */
const NAME = /^[A-Za-z0-9_-]+$/;

/** What a member of an object is where it is a value, and where it is an object itself. */
interface Member {
  column: Column | undefined;
  readonly members: Members;
}

type Members = Map<string, Member>;

export class Columns {
  /** Slots that have attributes. */
  readonly documents: Bitmap;
  readonly #columns = new Map<string, Column>();
  /** The same columns by the members of a JSON object. */
  readonly #members: Members = new Map();
  /** For each name of a shape. */
  readonly #byShape = new WeakMap<FlatShape, readonly (Column | undefined)[]>();
  readonly #budget: Budget = { textBytes: limits.columnTextBytesMax };
  #isFull = false;

  constructor(documents = new Bitmap()) {
    this.documents = documents;
  }

  /** The column of a field: undefined when it has none and slots may have the field all the same. */
  of(path: readonly string[]): Column | undefined {
    const column = this.#columns.get(nameOf(path));
    if (column !== undefined) return column;
    const isKnown = !this.#isFull && path.length <= limits.columnDepthMax;
    return isKnown || path.length === 0 ? new Column(this.#budget) : undefined;
  }

  /** Whether the column of the field, or that no slot has the field, is known here. */
  has(path: readonly string[]): boolean {
    return this.of(path) !== undefined;
  }

  /** Replaces what a slot has. @param json its attributes as JSON.parse gives them, undefined for none */
  set(slot: number, json: object | undefined): void {
    this.#clear(slot);
    if (json === undefined) {
      this.documents.delete(slot);
      return;
    }
    this.documents.add(slot);
    this.#setMembers(slot, json, this.#members, "", 1);
  }

  /** The same for a text of a shape. */
  setFlat(slot: number, text: Uint8Array, { shape, places }: Flat): void {
    this.#clear(slot);
    this.documents.add(slot);
    const columns = this.#columnsOf(shape);
    for (let i = 0; i < columns.length; i++)
      columns[i]?.setJson(slot, text, places[2 * i]!, places[2 * i + 1]!);
  }

  #columnsOf(shape: FlatShape): readonly (Column | undefined)[] {
    const known = this.#byShape.get(shape);
    if (known !== undefined) return known;
    const columns = shape.names.map((name) => (NAME.test(name) ? this.#columnOf(name) : undefined));
    this.#byShape.set(shape, columns);
    return columns;
  }

  #clear(slot: number): void {
    if (!this.documents.has(slot)) return;
    for (const column of this.#columns.values()) column.set(slot, undefined);
  }

  /** What has a column, by the name of the field. */
  get columns(): ReadonlyMap<string, Column> {
    return this.#columns;
  }

  /** Whether fields were left out. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** The columns that had these, by the name of the field. @throws {RangeError} when they are beyond the limits */
  static async restored(
    documents: Bitmap,
    saved: ReadonlyMap<string, SavedColumn>,
    isFull: boolean,
  ): Promise<Columns> {
    const columns = new Columns(documents);
    for (const [name, each] of saved) columns.#add(name, await Column.restored(columns.#budget, each));
    columns.#isFull = isFull;
    return columns;
  }

  /** Bytes of memory, about. */
  get bytes(): number {
    return [...this.#columns.values()].reduce((sum, { bytes }) => sum + bytes, this.documents.byteLength);
  }

  /**
   * What VSTORE.INFO shows: fields that have a column, whether others have none, and values that the columns do not
   * keep.
   */
  stats(): Record<string, number> {
    const columns = [...this.#columns.values()];
    return {
      filter_fields: columns.length,
      filter_fields_full: Number(this.#isFull),
      filter_values_in_json: columns.reduce((sum, { opaque }) => sum + opaque, 0),
    };
  }

  /** @param prefix of the names of its fields */
  #setMembers(slot: number, json: object, known: Members | undefined, prefix: string, depth: number): void {
    for (const name of Object.keys(json)) {
      const member = known?.get(name);
      if (member === undefined && !NAME.test(name)) continue;
      const inner = (json as Record<string, unknown>)[name];
      const value = toValue(inner);
      if (value !== undefined) (member?.column ?? this.#columnOf(prefix + name))?.set(slot, value);
      else if (isObject(inner) && depth < limits.columnDepthMax)
        this.#setMembers(slot, inner, member?.members, `${prefix}${name}.`, depth + 1);
    }
  }

  /** The column of a field that has one, or gets it now; undefined where there are too many. */
  #columnOf(name: string): Column | undefined {
    const column = this.#columns.get(name);
    if (column !== undefined) return column;
    if (this.#columns.size < limits.columnFieldsMax) return this.#add(name, new Column(this.#budget));
    this.#isFull = true;
    return undefined;
  }

  #add(name: string, column: Column): Column {
    this.#columns.set(name, column);
    let member: Member = { column: undefined, members: this.#members };
    for (const part of name.split(".")) {
      const inner = member.members.get(part) ?? { column: undefined, members: new Map() };
      member.members.set(part, inner);
      member = inner;
    }
    member.column = column;
    return column;
  }
}

const isObject = (json: unknown): json is object =>
  typeof json === "object" && json !== null && !Array.isArray(json);
