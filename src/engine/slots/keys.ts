/**
 * The keys of a collection and when they expire: the table in memory and keys.log, which rebuilds it. A put of a key
 * that has a slot already kills the old slot, in the log as in memory, so an update is one record.
 */
import { DamagedFileError } from "../../errors.ts";
import { DEADLINE_BYTES, LOG_MAGIC, RECORD_HEADER, RECORD_KIND } from "../disk/layout.ts";
import type { LogEnd } from "../disk/manifest.ts";
import { KEYS_FILE } from "../disk/names.ts";
import { type LogRecord, RecordLog } from "../disk/record-log.ts";
import { KeyTable, NONE } from "./key-table.ts";
import { SlotNumbers } from "./slot-numbers.ts";

const NO_PAYLOAD = new Uint8Array(0);

/** Bytes of keys.log that one remove takes. */
export const REMOVE_BYTES = RECORD_HEADER.bytes;
/** Bytes of keys.log that one deadline takes. */
export const DEADLINE_RECORD_BYTES = RECORD_HEADER.bytes + DEADLINE_BYTES;
/**
 * Bytes of keys.log that one put takes at most: one that has expired is removed before it, its deadline comes after it.
 */
export const putBytes = (key: Uint8Array): number =>
  REMOVE_BYTES + RECORD_HEADER.bytes + key.length + DEADLINE_RECORD_BYTES;

export class Keys {
  readonly table: KeyTable;
  /** When the slot's key expires, in ms since 1970; 0: it does not. */
  readonly deadlines: SlotNumbers;
  readonly log: RecordLog;

  private constructor(table: KeyTable, deadlines: SlotNumbers, log: RecordLog) {
    this.table = table;
    this.deadlines = deadlines;
    this.log = log;
  }

  static create(directory: string): RecordLog {
    return RecordLog.create(`${directory}/${KEYS_FILE}`, LOG_MAGIC.keys);
  }

  /**
   * Rebuilds the table from the log's first `bytes`.
   *
   * @param slots number of slots that exist
   * @param killed called for every slot that lost its key
   * @throws {DamagedFileError}
   */
  static async open(
    directory: string,
    { bytes, checksum }: LogEnd,
    slots: number,
    killed: (slot: number) => void,
  ): Promise<Keys> {
    const path = `${directory}/${KEYS_FILE}`;
    const table = new KeyTable();
    const deadlines = new SlotNumbers(Float64Array);
    let next = 0;
    const log = await RecordLog.open(path, LOG_MAGIC.keys, bytes, checksum, (record) => {
      const { kind, slot } = record;
      const isPut = kind === RECORD_KIND.put;
      if (isPut ? slot !== next || slot >= slots : slot >= next) {
        throw new DamagedFileError(path, record.offset, `slot ${slot} out of order`);
      }
      if (kind === RECORD_KIND.deadline) {
        deadlines.set(slot, deadlineOf(path, record, table));
        return;
      }
      const dead = isPut
        ? table.set(record.bytes, next++, record.start, record.end)
        : removeSlot(table, slot);
      if (dead === NONE) return;
      deadlines.set(dead, 0);
      killed(dead);
    });
    return new Keys(table, deadlines, log);
  }

  /** Gives the key the slot; returns the slot it held until now, or NONE. Needs `log.ensure(putBytes(key))`. */
  put(key: Uint8Array, slot: number): number {
    this.log.append(RECORD_KIND.put, slot, key);
    return this.table.set(key, slot);
  }

  /** The same, where the record was written and the key kept ahead. @param hash as `table.hashOf` has it */
  putWritten(key: Uint8Array, slot: number, hash: number): number {
    return this.table.setKept(key, slot, hash);
  }

  /** Removes the key; returns the slot it held, or NONE. Needs `log.ensure(REMOVE_BYTES)`. `hash` as of `putWritten` */
  remove(key: Uint8Array, hash?: number): number {
    const slot = this.table.delete(key, hash);
    if (slot !== NONE) this.log.append(RECORD_KIND.remove, slot, NO_PAYLOAD);
    return slot;
  }

  /**
   * Notes when the slot's key expires; the deadline itself is set by Expiry. Needs `log.ensure(DEADLINE_RECORD_BYTES)`.
   */
  noteDeadline(slot: number, deadline: number): void {
    const payload = Buffer.alloc(DEADLINE_BYTES);
    payload.writeDoubleLE(deadline);
    this.log.append(RECORD_KIND.deadline, slot, payload);
  }
}

/** In ms since 1970, 0 for none; undefined when the payload is nothing of the kind. */
export function readDeadline({ bytes, start, end }: LogRecord): number | undefined {
  if (end - start !== DEADLINE_BYTES) return undefined;
  const deadline = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(start, true);
  return Number.isSafeInteger(deadline) && deadline >= 0 ? deadline : undefined;
}

function deadlineOf(path: string, record: LogRecord, table: KeyTable): number {
  const deadline = readDeadline(record);
  const isAlive = table.find(table.keyOf(record.slot)) === record.slot;
  if (deadline !== undefined && isAlive) return deadline;
  throw new DamagedFileError(path, record.offset, `no deadline of slot ${record.slot}`);
}

function removeSlot(table: KeyTable, slot: number): number {
  table.delete(table.keyOf(slot));
  return slot;
}
