/**
 * The JSON attributes of each slot. The text stays in attributes.log (in the page cache, mostly); memory holds where
 * it is. A later record of a slot replaces the earlier one; an empty one means the slot has none.
 */
import { DamagedFileError } from "../../errors.ts";
import { LOG_MAGIC, RECORD_HEADER, RECORD_KIND } from "../disk/layout.ts";
import type { LogEnd } from "../disk/manifest.ts";
import { ATTRIBUTES_FILE } from "../disk/names.ts";
import { RecordLog } from "../disk/record-log.ts";
import { SlotNumbers } from "./slot-numbers.ts";

/** Bytes of attributes.log that a text of `length` bytes takes. */
export const attributesBytes = (length: number): number => RECORD_HEADER.bytes + length;

export class Attributes {
  readonly log: RecordLog;
  readonly #places: Places;

  private constructor(log: RecordLog, places: Places) {
    this.log = log;
    this.#places = places;
  }

  static create(directory: string): RecordLog {
    return RecordLog.create(`${directory}/${ATTRIBUTES_FILE}`, LOG_MAGIC.attributes);
  }

  /**
   * @param from an offset in the log
   * @param later told of the slots that have a record from there on
   * @throws {DamagedFileError}
   */
  static async open(
    directory: string,
    { bytes, checksum }: LogEnd,
    slots: number,
    from = Number.POSITIVE_INFINITY,
    later: (slot: number) => void = () => {},
  ): Promise<Attributes> {
    const path = `${directory}/${ATTRIBUTES_FILE}`;
    const places = new Places();
    const log = await RecordLog.open(path, LOG_MAGIC.attributes, bytes, checksum, (record) => {
      if (record.slot >= slots || record.kind !== RECORD_KIND.attributes) {
        throw new DamagedFileError(
          path,
          record.offset,
          `slot ${record.slot} or kind ${record.kind} out of range`,
        );
      }
      if (record.offset >= from) later(record.slot);
      places.set(record.slot, record.offset, record.end - record.start);
    });
    return new Attributes(log, places);
  }

  /** False when no slot has ever had any. */
  get isUsed(): boolean {
    return this.#places.isUsed;
  }

  /** The slot's JSON text as UTF-8, or undefined. */
  get(slot: number): Buffer | undefined {
    const length = this.lengthOf(slot);
    if (length === 0) return undefined;
    return this.log.read(this.#places.offsets.get(slot), length);
  }

  /** The slot's text as JSON.parse gives it: an object, empty where the text is none; undefined when it has no text. */
  parsed(slot: number): object | undefined {
    const length = this.lengthOf(slot);
    if (length === 0) return undefined;
    return parseObject(this.log.view(this.#places.offsets.get(slot), length).toString("utf8"));
  }

  /** Bytes of the slot's text; 0 when it has none. */
  lengthOf(slot: number): number {
    return this.#places.lengths.get(slot);
  }

  /** The slot's text is the payload of a record that was written ahead. */
  adopt(slot: number, offset: number, length: number): void {
    this.#places.set(slot, offset, length);
  }

  /** Replaces the slot's text; empty removes it. Needs `log.ensure(attributesBytes(json.length))`. */
  set(slot: number, json: Uint8Array): void {
    this.#places.set(slot, this.log.append(RECORD_KIND.attributes, slot, json), json.length);
  }
}

/** Where each slot's text is; length 0: none. */
class Places {
  readonly offsets = new SlotNumbers(Float64Array);
  readonly lengths = new SlotNumbers(Uint32Array);
  isUsed = false;

  set(slot: number, offset: number, length: number): void {
    this.isUsed = true;
    this.offsets.set(slot, offset);
    this.lengths.set(slot, length);
  }
}

/** Commands let only objects in; what a caller of the library wrote may be anything. */
function parseObject(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}
