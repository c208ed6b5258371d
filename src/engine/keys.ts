/**
 * The keys of a collection: the table in memory and keys.log, which rebuilds it. A put of a key that has a slot
 * already kills the old slot, in the log as in memory, so an update is one record.
 */
import { DamagedFileError } from "../errors.ts";
import { KeyTable, NONE } from "./key-table.ts";
import { LOG_MAGIC, RECORD_HEADER, RECORD_KIND } from "./layout.ts";
import type { LogEnd } from "./manifest.ts";
import { KEYS_FILE } from "./names.ts";
import { RecordLog } from "./record-log.ts";

const NO_PAYLOAD = new Uint8Array(0);

/** Bytes of keys.log that one put takes. */
export const putBytes = (key: Uint8Array): number => RECORD_HEADER.bytes + key.length;
/** Bytes of keys.log that one remove takes. */
export const REMOVE_BYTES = RECORD_HEADER.bytes;

export class Keys {
  readonly table: KeyTable;
  readonly log: RecordLog;

  private constructor(table: KeyTable, log: RecordLog) {
    this.table = table;
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
  static open(
    directory: string,
    { bytes, checksum }: LogEnd,
    slots: number,
    killed: (slot: number) => void,
  ): Keys {
    const path = `${directory}/${KEYS_FILE}`;
    const table = new KeyTable();
    let next = 0;
    const log = RecordLog.open(path, LOG_MAGIC.keys, bytes, checksum, (record) => {
      const { kind, slot } = record;
      const isPut = kind === RECORD_KIND.put;
      if (isPut ? slot !== next || slot >= slots : slot >= next) {
        throw new DamagedFileError(path, record.offset, `slot ${slot} out of order`);
      }
      const dead = isPut
        ? table.set(record.bytes, next++, record.start, record.end)
        : removeSlot(table, slot);
      if (dead !== NONE) killed(dead);
    });
    return new Keys(table, log);
  }

  /** Gives the key the slot; returns the slot it held until now, or NONE. Needs `log.ensure(putBytes(key))`. */
  put(key: Uint8Array, slot: number): number {
    this.log.append(RECORD_KIND.put, slot, key);
    return this.table.set(key, slot);
  }

  /** Takes the key out; returns the slot it held, or NONE. Needs `log.ensure(REMOVE_BYTES)`. */
  remove(key: Uint8Array): number {
    const slot = this.table.delete(key);
    if (slot !== NONE) this.log.append(RECORD_KIND.remove, slot, NO_PAYLOAD);
    return slot;
  }
}

function removeSlot(table: KeyTable, slot: number): number {
  table.delete(table.keyOf(slot));
  return slot;
}
