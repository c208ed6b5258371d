/**
 * The fields of all attributes as columns, so that a filter need not parse a million JSON texts. They follow from the
 * attributes alone and have named limits. A field beyond a limit has no column, and a value beyond one is OPAQUE;
 * filters read both from the JSON.
 */
import { limits } from "../../limits.ts";
import { nameOf } from "../filter/expression.ts";
import { toValue, type Value } from "../filter/value.ts";
import { Bitmap } from "./bitmap.ts";
import { type Budget, Column, type SavedColumn } from "./column.ts";

/** Names that a filter can contain. */
const NAME = /^[A-Za-z0-9_-]+$/;

export class Columns {
  /** Slots that have attributes. */
  readonly documents: Bitmap;
  readonly #columns = new Map<string, Column>();
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
    const isNew = !this.documents.has(slot);
    if (!isNew) for (const column of this.#columns.values()) column.set(slot, undefined);
    if (json === undefined) {
      this.documents.delete(slot);
      return;
    }
    this.documents.add(slot);
    this.#setMembers(slot, json, []);
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
  static restored(documents: Bitmap, saved: ReadonlyMap<string, SavedColumn>, isFull: boolean): Columns {
    const columns = new Columns(documents);
    for (const [name, each] of saved) columns.#columns.set(name, Column.restored(columns.#budget, each));
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

  #setMembers(slot: number, json: object, outer: readonly string[]): void {
    for (const [name, member] of Object.entries(json)) {
      if (!NAME.test(name)) continue;
      const path = [...outer, name];
      const value = toValue(member);
      if (value !== undefined) this.#setField(slot, nameOf(path), value);
      else if (isObject(member) && path.length < limits.columnDepthMax) this.#setMembers(slot, member, path);
    }
  }

  #setField(slot: number, name: string, value: Value): void {
    let column = this.#columns.get(name);
    if (column === undefined) {
      if (this.#columns.size >= limits.columnFieldsMax) {
        this.#isFull = true;
        return;
      }
      column = new Column(this.#budget);
      this.#columns.set(name, column);
    }
    column.set(slot, value);
  }
}

const isObject = (json: unknown): json is object =>
  typeof json === "object" && json !== null && !Array.isArray(json);
