import * as fs from "node:fs";
import { expect, test } from "vitest";
import { crc32 } from "../../src/engine/disk/checksum.ts";
import { SEGMENT_BYTES, SEGMENT_HEADER } from "../../src/engine/disk/layout.ts";
import { segmentFile } from "../../src/engine/disk/names.ts";
import { PageChecksums } from "../../src/engine/disk/pages/page-checksums.ts";
import {
  firstSegmentBytes,
  Segment,
  type SegmentShape,
  segmentBytes,
  segmentCapacity,
} from "../../src/engine/disk/segment.ts";
import { removeSegmentsFrom, Segments } from "../../src/engine/disk/segments.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { DamagedFileError } from "../../src/errors.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const DIMENSIONS = 100;
const shape: SegmentShape = {
  number: 0,
  dimensions: DIMENSIONS,
  metric: "L2",
  firstSlot: 0,
  capacity: segmentCapacity(0, DIMENSIONS),
  fileBytes: segmentBytes(0),
};

const noPages = PageChecksums.create("");
const row = (value: number) => new Float32Array(DIMENSIONS).fill(value);

function written(): { directory: string; path: string } {
  const directory = temporaryDirectory();
  const segment = Segment.createSync(directory, shape);
  segment.place();
  segment.rows.set(row(1.5), 0);
  segment.close();
  return { directory, path: segment.path };
}

/** Changes bytes of the header; `reseal` makes its checksum right again. */
function patch(path: string, change: (header: Buffer) => void, reseal = true): void {
  const bytes = fs.readFileSync(path);
  change(bytes);
  const { checksum } = SEGMENT_HEADER.at;
  if (reseal) bytes.writeUInt32LE(crc32(bytes, 0, checksum), checksum);
  fs.writeFileSync(path, bytes);
}

test("segments grow from 1 MiB to 256 MiB and stay there", () => {
  expect([0, 1, 2, 7, 8, 9, 500].map((number) => segmentBytes(number))).toEqual(
    [1, 2, 4, 128, 256, 256, 256].map((mebibytes) => mebibytes * 2 ** 20),
  );
  expect(segmentCapacity(0, 16_384)).toBe(15);
});

test("the first segment of a new collection is small, and has room for some rows", () => {
  expect([1, 64, 1_536, 3_072, 16_384].map(firstSegmentBytes)).toEqual(
    [64, 64, 64, 128, 1_024].map((kibibytes) => kibibytes * 1_024),
  );
  expect([0, 1, 4, 12, 13].map((number) => segmentBytes(number, 1 << 16))).toEqual([
    2 ** 16,
    2 ** 17,
    2 ** 20,
    2 ** 28,
    2 ** 28,
  ]);
});

test("a segment is filled on disk before it is mapped", () => {
  const { path } = written();
  const { size, blocks } = fs.statSync(path);
  expect(size).toBe(SEGMENT_BYTES.first);
  expect(blocks * 512).toBeGreaterThanOrEqual(SEGMENT_BYTES.first);
});

test("a segment reads back what was written", async () => {
  const { directory } = written();
  const segment = Segment.open(directory, shape);
  expect(segment.rows.subarray(0, DIMENSIONS)).toEqual(row(1.5));
  expect(await segment.checksumTo(1, noPages)).toBe(crc32(new Uint8Array(row(1.5).buffer)));
  segment.close();
});

test.each<[string, (path: string) => void, RegExp, number]>([
  ["missing", (path) => fs.rmSync(path), /missing/, 0],
  ["truncated", (path) => fs.truncateSync(path, 5_000), /5000 bytes, expected 1048576/, 5_000],
  ["empty", (path) => fs.truncateSync(path, 0), /0 bytes/, 0],
  ["too long", (path) => fs.appendFileSync(path, "x"), /1048577 bytes/, SEGMENT_BYTES.first],
  ["of another kind", (path) => patch(path, (b) => b.write("SQLITE", 0)), /not a vstore segment/, 0],
  ["of a later version", (path) => patch(path, (b) => b.writeUInt32LE(2, 8)), /version 2/, 8],
  ["with a flipped header bit", (path) => patch(path, (b) => (b[13]! ^= 1), false), /checksum/, 40],
  ["of another dimension", (path) => patch(path, (b) => b.writeUInt32LE(99, 12)), /another collection/, 12],
  ["of another metric", (path) => patch(path, (b) => b.writeUInt32LE(3, 16)), /another collection/, 12],
  ["of another position", (path) => patch(path, (b) => b.writeUInt32LE(1, 20)), /another collection/, 12],
])("a segment that is %s is refused with file and offset", (_, damage, message, offset) => {
  const { directory, path } = written();
  damage(path);
  expect(() => Segment.open(directory, shape)).toThrow(message);
  expect(() => Segment.open(directory, shape)).toThrow(
    expect.objectContaining({ constructor: DamagedFileError, path, offset }),
  );
});

test("the checksum of rows is extended, not computed again", async () => {
  const directory = temporaryDirectory();
  const segment = Segment.createSync(directory, shape);
  segment.place();
  for (let i = 0; i < 10; i++) {
    segment.rows.set(row(i), i * DIMENSIONS);
    const all = new Uint8Array(segment.rows.slice(0, (i + 1) * DIMENSIONS).buffer);
    expect(await segment.checksumTo(i + 1, noPages)).toBe(crc32(all));
  }
  segment.rows.fill(0); // rows that were covered are not looked at again
  const before = await segment.checksumTo(10, noPages);
  expect(await segment.checksumTo(10, noPages)).toBe(before);
  segment.close();
});

test("rows are found across segments, in slots and in blocks", () => {
  const options = resolveOptions({ dimensions: 16_384, metric: "L2" });
  const segments = Segments.open(temporaryDirectory(), options, 0);
  segments.reserveNow(100);
  for (let slot = 0; slot < 10; slot++) {
    segments.writeAhead(0, new Float32Array(16_384).fill(slot));
    expect(segments.appendWritten()).toBe(slot);
  }
  // All others together, over the ends of segments.
  segments.writeAllAhead(Float32Array.from({ length: 90 * 16_384 }, (_, i) => 10 + Math.floor(i / 16_384)));
  for (let slot = 10; slot < 100; slot++) expect(segments.appendWritten()).toBe(slot);
  for (let slot = 0; slot < 100; slot++) expect(segments.row(slot)[16_383]).toBe(slot);
  const seen: number[] = [];
  for (const block of segments.blocks(3, 97, 200_000)) {
    for (let slot = block.from, at = block.start; slot < block.to; slot++, at += block.dimensions) {
      expect(block.rows[at]).toBe(slot);
      seen.push(slot);
    }
  }
  expect(seen).toEqual(Array.from({ length: 94 }, (_, i) => i + 3));
  segments.close();
});

test("a segment prepared in the background gives way to one that was needed at once", async () => {
  const directory = temporaryDirectory();
  const options = resolveOptions({ dimensions: 16_384, metric: "L2" });
  const segments = Segments.open(directory, options, 0);
  const background = segments.reserve(1);
  segments.reserveNow(15);
  segments.writeAhead(0, new Float32Array(16_384).fill(7));
  segments.appendWritten();
  await background;
  expect(segments.row(0)[0]).toBe(7);
  segments.close();
  const again = Segments.open(directory, options, 1);
  expect(again.row(0)[0]).toBe(7);
  again.close();
  removeSegmentsFrom(directory, 1);
  expect(fs.readdirSync(directory)).toEqual([segmentFile(0)]);
});

test("no more room is made once the segments are closed", async () => {
  const options = resolveOptions({ dimensions: 16_384, metric: "L2" });
  const segments = Segments.open(temporaryDirectory(), options, 0);
  const reserved = segments.reserve(200); // in several segments
  segments.close();
  await reserved;
  expect(segments.fileBytes).toBe(0);
});

test("reserve answers at once when there is room, and makes room when there is not", async () => {
  const options = resolveOptions({ dimensions: 16_384, metric: "L2" });
  const segments = Segments.open(temporaryDirectory(), options, 0);
  await segments.reserve(16); // more than the first segment's 15
  expect(segments.reserve(16)).toBeUndefined();
  expect(segments.fileBytes).toBe(3 * 2 ** 20);
  segments.close();
});
