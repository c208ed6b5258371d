/**
 * Checks the record logs: every record, whether each can follow those before it, and whether the manifest's counts come
 * out.
 */
import { limits } from "../../limits.ts";
import type { CountedLog } from "../disk/inventory.ts";
import { RECORD_HEADER } from "../disk/layout.ts";
import type { Manifest } from "../disk/manifest.ts";
import type { LogRecord } from "../disk/record-log.ts";
import type { Findings } from "./findings.ts";
import { KeyReplay } from "./key-replay.ts";
import { scanRecords } from "./scan-records.ts";

export function checkKeys(
  path: string,
  log: CountedLog,
  { slots, live }: Manifest,
  findings: Findings,
): void {
  const replay = new KeyReplay(slots);
  const damage = (offset: number, what: string) => {
    replay.skip();
    findings.add(offset, what);
  };
  check(path, log, findings, limits.keyBytesMax, (record) => replay.apply(record), damage);
  if (!findings.isWhole) return;
  if (replay.length !== slots) findings.add(log.bytes, `keys for ${replay.length} slots, expected ${slots}`);
  if (replay.live.count !== live) findings.add(log.bytes, `${replay.live.count} live keys, expected ${live}`);
}

export function checkAttributes(
  path: string,
  log: CountedLog,
  { slots }: Manifest,
  findings: Findings,
): void {
  const fault = (record: LogRecord) => attributesFault(record, slots);
  const damage = (offset: number, what: string) => findings.add(offset, what);
  check(path, log, findings, limits.attributesBytesMax, fault, damage);
}

function check(
  path: string,
  log: CountedLog,
  findings: Findings,
  payloadBytesMax: number,
  faultOf: (record: LogRecord) => string | undefined,
  damage: (offset: number, what: string) => void,
): void {
  scanRecords(path, log, {
    payloadBytesMax,
    damage,
    record(record) {
      const fault = faultOf(record);
      if (fault !== undefined) findings.add(record.offset - RECORD_HEADER.bytes, fault);
    },
    get isDone() {
      return findings.isFull;
    },
  });
}

function attributesFault({ slot, payload }: LogRecord, slots: number): string | undefined {
  if (slot >= slots) return `attributes of slot ${slot}, there are ${slots}`;
  if (payload.length > limits.attributesBytesMax) return `attributes of ${payload.length} bytes`;
  if (payload.length > 0 && !isJson(payload)) return `the attributes of slot ${slot} are not JSON`;
  return undefined;
}

const utf8 = new TextDecoder("utf8", { fatal: true });

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(utf8.decode(bytes));
    return true;
  } catch {
    return false;
  }
}
