/**
 * Rebuilding the key table from keys.log, as every start does: keys per second, beside a JavaScript Map that is filled
 * with the same keys as text, made beforehand.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import { RECORD_KIND } from "../src/engine/disk/layout.ts";
import type { LogEnd } from "../src/engine/disk/manifest.ts";
import { Keys, putBytes } from "../src/engine/slots/keys.ts";
import { alternate, type Row, rate, report, thousands } from "./harness.ts";

const COUNTS = [300_000, 2_000_000];
const ROUNDS = 5;

const keyOf = (i: number): string => `key:${i}`;

async function writeLog(directory: string, count: number): Promise<LogEnd> {
  const log = Keys.create(directory);
  for (let slot = 0; slot < count; slot++) {
    const key = Buffer.from(keyOf(slot));
    log.ensure(putBytes(key));
    log.append(RECORD_KIND.put, slot, key);
  }
  const end = await log.flush();
  log.close();
  return end;
}

async function measure(directory: string, count: number): Promise<Row> {
  const end = await writeLog(directory, count);
  const texts = Array.from({ length: count }, (_, i) => keyOf(i));
  const load = async () => (await Keys.open(directory, end, count, () => {})).log.close();
  const fill = () => {
    const map = new Map<string, number>();
    for (let i = 0; i < count; i++) map.set(texts[i]!, i);
  };
  const { ours, ceiling, ratio } = await alternate(
    ROUNDS,
    () => rate(count, load),
    () => rate(count, fill),
  );
  return {
    keys: count,
    "keys/s": thousands(ours),
    "Map/s": thousands(ceiling),
    "of Map": ratio.toFixed(2),
  };
}

const rows: Row[] = [];
for (const count of COUNTS) {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/vstore-bench-`);
  try {
    rows.push(await measure(directory, count));
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}
report({ workload: "key-load", aim: "2 M keys/s", rows });
