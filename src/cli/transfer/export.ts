/** `vstore export <collection> <file|->`: the rows of a collection into a file, through Redis like every client. */
import { connect } from "../../bridge/redis/connection.ts";
import { type Facts, factsOf } from "../../bridge/transfer/collection.ts";
import { readCollection } from "../../bridge/transfer/read-collection.ts";
import type { Row } from "../../bridge/transfer/row.ts";
import { limits } from "../../limits.ts";
import { exitCodes, UseError } from "../exit.ts";
import { ByteTarget } from "../formats/byte-target.ts";
import { utf8Key } from "../formats/cells.ts";
import { type Format, type Output, RowFault } from "../formats/format.ts";
import { formatOf } from "../formats/formats.ts";
import { count, counted } from "../text.ts";
import { type AddressFlags, addressOf } from "./address.ts";
import { BadRows, TooManyBadRows } from "./bad-rows.ts";
import { wholeNumber } from "./import-job.ts";
import { Meter } from "./meter.ts";

export interface ExportFlags extends AddressFlags {
  readonly format?: string;
  readonly keys?: string;
  readonly filter?: string;
  /** False with --no-attributes. */
  readonly attributes: boolean;
  /** False with --no-expire-times. */
  readonly expireTimes?: boolean;
  readonly force?: true;
  readonly maxErrors?: string;
}

export async function runExport(collection: string, file: string, flags: ExportFlags): Promise<number> {
  const url = addressOf(flags);
  const format = formatOf(file, flags.format);
  if (file === "-" && format.writesFileOnly)
    throw new UseError("this format says at its beginning how many rows there are, so it needs a file");
  if (format.hasKeys && flags.keys !== undefined) throw new UseError("--keys is for formats without keys");
  const errorsMax = wholeNumber(flags.maxErrors, "--max-errors", 0, limits.slotsMax, 0);
  const facts = await known(url, collection);
  const began = performance.now();
  const target = await ByteTarget.open(file, flags.force);
  const keys = flags.keys === undefined ? undefined : await ByteTarget.open(flags.keys, flags.force);
  try {
    const withAttributes = flags.attributes && facts.hasAttributes && format.hasKeys;
    const withExpireTimes = expireTimesFor(format, facts, flags);
    const wanted = { withAttributes, withExpireTimes };
    const rows = readCollection({ url, collection, ...facts, ...wanted, filter: flags.filter });
    const written = await writeAll(rows, { format, target, keys, facts, ...wanted, errorsMax });
    const seconds = (performance.now() - began) / 1000;
    const rate = `in ${seconds.toFixed(1)} s (${count(Math.round(written / seconds))}/s)`;
    process.stderr.write(`exported ${counted(written, "vector")} of ${collection} ${rate}\n`);
    return exitCodes.done;
  } finally {
    await target.close();
    await keys?.close();
  }
}

/** Says so when they have no place. */
function expireTimesFor(
  format: Format,
  { hasExpiring }: Facts,
  { expireTimes = true }: ExportFlags,
): boolean {
  if (!expireTimes || !hasExpiring) return false;
  if (!format.hasExpireTimes)
    process.stderr.write("keys will not expire after an import: this format has no place for their times\n");
  return format.hasExpireTimes ?? false;
}

interface Writing {
  readonly format: Format;
  readonly target: ByteTarget;
  /** Gets one key per line, for a format without keys. */
  readonly keys: ByteTarget | undefined;
  readonly facts: Facts;
  readonly withAttributes: boolean;
  readonly withExpireTimes: boolean;
  readonly errorsMax: number;
}

/** @returns how many rows were written */
async function writeAll(pages: AsyncIterable<Row[]>, writing: Writing): Promise<number> {
  const { format, target, keys, facts, withAttributes, withExpireTimes } = writing;
  const shape = { hasAttributes: withAttributes, hasExpireTimes: withExpireTimes };
  const output = await format.write(target, { dimensions: facts.dimensions, ...shape });
  let written = 0;
  const meter = new Meter("exporting", () => ({
    rows: written,
    share: Math.min(1, written / (facts.vectors || 1)),
  }));
  const bad = new BadRows(writing.errorsMax, "row", (line) => meter.say(line));
  try {
    for await (const page of pages) {
      for (const row of page) {
        if (await isWritten(row, output, keys, bad)) written++;
        if (bad.areTooMany)
          throw new TooManyBadRows(
            `stopped: more than ${counted(writing.errorsMax, "row")} that this format cannot hold`,
          );
      }
    }
    await output.finish();
    await target.finish();
    await keys?.finish();
  } finally {
    meter.stop();
    await output.close?.();
  }
  return written;
}

async function isWritten(
  row: Row,
  output: Output,
  keys: ByteTarget | undefined,
  bad: BadRows,
): Promise<boolean> {
  try {
    const line = keys === undefined ? undefined : lineOf(row.key);
    await output.write(row);
    if (line !== undefined) await keys?.write(line);
    return true;
  } catch (error) {
    if (!(error instanceof RowFault)) throw error;
    bad.add(row, `${JSON.stringify(row.key.toString())}: ${error.message}`);
    return false;
  }
}

function lineOf(key: string | Buffer): string {
  const text = utf8Key(key);
  if (/[\r\n]|^\ufeff/.test(text))
    throw new RowFault("a key with an end of line, or a byte order mark, has no place in a list of keys");
  return `${text}\n`;
}

/** @throws UseError when there is no such collection */
async function known(url: string, collection: string): Promise<Facts> {
  const redis = await connect(url, "vstore-export");
  try {
    const facts = await factsOf(redis, collection);
    if (facts === undefined) throw new UseError(`there is no collection '${collection}'`);
    return facts;
  } finally {
    redis.disconnect();
  }
}
