import * as fs from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { testSeed } from "../../harness/random.ts";
import { LOG_HEADER, LOG_MAGIC, RECORD_HEADER } from "../../src/engine/disk/layout.ts";
import { RecordLog } from "../../src/engine/disk/record-log.ts";
import { DamagedFileError } from "../../src/errors.ts";
import { temporaryDirectory } from "../harness/directory.ts";

interface Plain {
  kind: number;
  slot: number;
  text: string;
}

const MAGIC = LOG_MAGIC.keys;

function append(log: RecordLog, { kind, slot, text }: Plain): number {
  const payload = Buffer.from(text, "latin1");
  log.ensure(RECORD_HEADER.bytes + payload.length);
  return log.append(kind, slot, payload);
}

async function readAll(path: string, end: { bytes: number; checksum: number }): Promise<Plain[]> {
  const records: Plain[] = [];
  const log = await RecordLog.open(path, MAGIC, end.bytes, end.checksum, ({ kind, slot, payload }) => {
    records.push({ kind, slot, text: Buffer.from(payload).toString("latin1") });
  });
  log.close();
  return records;
}

async function written(records: Plain[]) {
  const path = `${temporaryDirectory()}/keys.log`;
  const log = RecordLog.create(path, MAGIC);
  for (const record of records) append(log, record);
  const end = await log.flush();
  log.close();
  return { path, end };
}

const three: Plain[] = [
  { kind: 1, slot: 0, text: "alpha" },
  { kind: 2, slot: 0, text: "" },
  { kind: 3, slot: 0xffff_fffe, text: "x".repeat(70_000) },
];

test("records read back as they were appended, whatever they hold", async () => {
  const record = fc.record({
    kind: fc.integer({ min: 1, max: 3 }),
    slot: fc.integer({ min: 0, max: 0xffff_ffff }),
    text: fc.string({ unit: "binary", maxLength: 2_000 }).map((t) => Buffer.from(t).toString("latin1")),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(record, { maxLength: 50 }), async (records) => {
      const { path, end } = await written(records);
      expect(await readAll(path, end)).toEqual(records);
    }),
    { seed: testSeed(), numRuns: 50 },
  );
});

test("a log larger than its chunk in memory is written and read in pieces", async () => {
  const many = Array.from({ length: 40_000 }, (_, slot) => ({
    kind: 1,
    slot,
    text: `key:${slot}`.repeat(5),
  }));
  const { path, end } = await written(many);
  expect(end.bytes).toBeGreaterThan(2 ** 20);
  expect(await readAll(path, end)).toEqual(many);
});

test("payloads can be read back from memory and from the file", async () => {
  const log = RecordLog.create(`${temporaryDirectory()}/keys.log`, MAGIC);
  const places = Array.from({ length: 20 }, (_, i) => ({
    text: `${i}`.repeat(60_000),
    offset: append(log, { kind: 1, slot: i, text: `${i}`.repeat(60_000) }),
  }));
  await log.flush();
  for (const { text, offset } of places) expect(log.read(offset, text.length).toString()).toBe(text);
  log.close();
  expect(() => log.read(places[0]!.offset, 5)).toThrow();
});

test("what lies beyond the counted bytes is cut off, and appending goes on there", async () => {
  const { path, end } = await written(three);
  fs.appendFileSync(path, "garbage of an interrupted write");
  const log = await RecordLog.open(path, MAGIC, end.bytes, end.checksum, () => {});
  append(log, { kind: 1, slot: 1, text: "after" });
  const later = await log.flush();
  log.close();
  expect(await readAll(path, later)).toEqual([...three, { kind: 1, slot: 1, text: "after" }]);
});

test("records that are appended during a flush are not part of it, and not lost", async () => {
  const path = `${temporaryDirectory()}/keys.log`;
  const log = RecordLog.create(path, MAGIC);
  append(log, three[0]!);
  const flushing = log.flush();
  for (let i = 0; i < 100; i++) append(log, three[2]!);
  const first = await flushing;
  expect(first.bytes).toBe(LOG_HEADER.bytes + RECORD_HEADER.bytes + 5);
  const second = await log.flush();
  log.close();
  expect(await readAll(path, second)).toHaveLength(101);
});

test.each<[string, (path: string, bytes: Buffer) => void, RegExp, number]>([
  ["missing", (path) => fs.rmSync(path), /missing/, 0],
  ["truncated in its header", (path) => fs.truncateSync(path, 10), /file of 10 bytes/, 10],
  ["truncated in a record", (path) => fs.truncateSync(path, 40), /file of 40 bytes/, 40],
  ["of another kind", (path, b) => put(path, b, 0, "VSTORATT"), /not this log/, 0],
  ["of a later version", (path, b) => put(path, b, 8, "\x02"), /version 2/, 8],
  ["with a flipped header bit", (path, b) => put(path, b, 12, flipped(b, 12)), /header/, 12],
  ["with a flipped payload bit", (path, b) => put(path, b, 30, flipped(b, 30)), /checksum/, 16],
  ["with a flipped slot", (path, b) => put(path, b, 37, flipped(b, 37)), /checksum/, 33],
  ["with a length beyond its end", (path, b) => put(path, b, 26, "\xff"), /beyond the log's end/, 16],
])("a log that is %s is refused with file and offset", async (_, damage, message, offset) => {
  const { path, end } = await written(three);
  damage(path, fs.readFileSync(path));
  await expect(readAll(path, end)).rejects.toThrow(message);
  await expect(readAll(path, end)).rejects.toThrow(
    expect.objectContaining({ constructor: DamagedFileError, path, offset }),
  );
});

test("whole records in another order are not the log that was written", async () => {
  const { path } = await written([three[0]!, three[1]!]);
  const { end } = await written([three[1]!, three[0]!]);
  await expect(readAll(path, end)).rejects.toThrow(/not those of the manifest/);
});

function put(path: string, bytes: Buffer, at: number, text: string): void {
  bytes.write(text, at, "latin1");
  fs.writeFileSync(path, bytes);
}

const flipped = (bytes: Buffer, at: number): string => String.fromCharCode(bytes[at]! ^ 1);
