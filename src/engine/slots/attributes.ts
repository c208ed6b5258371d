/**
 * The JSON attributes of each slot. The text stays in attributes.log (in the page cache, mostly); memory holds where
 * it is. A later record of a slot replaces the earlier one; an empty one means the slot has none.
 */
import { DamagedFileError } from "../../errors.ts";
import { LOG_MAGIC, RECORD_HEADER, RECORD_KIND } from "../disk/layout.ts";
import type { LogEnd } from "../disk/manifest.ts";
import { ATTRIBUTES_FILE } from "../disk/names.ts";
import { RecordLog } from "../disk/record-log.ts";

const PAGE_SLOTS = 1 << 14;

/** Where the texts of PAGE_SLOTS consecutive slots are; length 0: none. */
interface Page {
  readonly offset: Float64Array;
  readonly length: Uint32Array;
}

/** Bytes of attributes.log that a text of `length` bytes takes. */
export const attributesBytes = (length: number): number => RECORD_HEADER.bytes + length;

export class Attributes {
  readonly log: RecordLog;
  /** Sparse: a collection without attributes has no page. */
  readonly #pages: (Page | undefined)[] = [];

  private constructor(directory: string, bytes: number, checksum: number, slots: number) {
    const path = `${directory}/${ATTRIBUTES_FILE}`;
    this.log = RecordLog.open(path, LOG_MAGIC.attributes, bytes, checksum, (record) => {
      if (record.slot >= slots || record.kind !== RECORD_KIND.attributes) {
        throw new DamagedFileError(
          path,
          record.offset,
          `slot ${record.slot} or kind ${record.kind} out of range`,
        );
      }
      this.#remember(record.slot, record.offset, record.end - record.start);
    });
  }

  static create(directory: string): RecordLog {
    return RecordLog.create(`${directory}/${ATTRIBUTES_FILE}`, LOG_MAGIC.attributes);
  }

  /** @throws {DamagedFileError} */
  static open(directory: string, { bytes, checksum }: LogEnd, slots: number): Attributes {
    return new Attributes(directory, bytes, checksum, slots);
  }

  /** False when no slot has ever had any. */
  get isUsed(): boolean {
    return this.#pages.length > 0;
  }

  /** The slot's JSON text as UTF-8, or undefined. */
  get(slot: number): Buffer | undefined {
    const length = this.lengthOf(slot);
    if (length === 0) return undefined;
    return this.log.read(this.#pages[Math.floor(slot / PAGE_SLOTS)]!.offset[slot % PAGE_SLOTS]!, length);
  }

  /** The slot's text as JSON.parse gives it: an object, empty where the text is none; undefined when it has no text. */
  parsed(slot: number): object | undefined {
    const page = this.#pages[Math.floor(slot / PAGE_SLOTS)];
    const length = page?.length[slot % PAGE_SLOTS] ?? 0;
    if (length === 0) return undefined;
    return parseObject(this.log.view(page!.offset[slot % PAGE_SLOTS]!, length).toString("utf8"));
  }

  /** Bytes of the slot's text; 0 when it has none. */
  lengthOf(slot: number): number {
    return this.#pages[Math.floor(slot / PAGE_SLOTS)]?.length[slot % PAGE_SLOTS] ?? 0;
  }

  /** The slot's text is the payload of a record that was written ahead. */
  adopt(slot: number, offset: number, length: number): void {
    this.#remember(slot, offset, length);
  }

  /** Replaces the slot's text; empty removes it. Needs `log.ensure(attributesBytes(json.length))`. */
  set(slot: number, json: Uint8Array): void {
    this.#remember(slot, this.log.append(RECORD_KIND.attributes, slot, json), json.length);
  }

  #remember(slot: number, offset: number, length: number): void {
    const number = Math.floor(slot / PAGE_SLOTS);
    this.#pages[number] ??= { offset: new Float64Array(PAGE_SLOTS), length: new Uint32Array(PAGE_SLOTS) };
    this.#pages[number].offset[slot % PAGE_SLOTS] = offset;
    this.#pages[number].length[slot % PAGE_SLOTS] = length;
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
