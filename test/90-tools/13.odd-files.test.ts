/**
 * Files that programs or accidents make: other encodings, names that come twice, numbers of 64 bits, headers that claim
 * what is not there. Whatever is wrong with a row is said; no two keys ever become one in silence.
 */
import * as fs from "node:fs";
import { expect, test } from "vitest";
import { ByteReader } from "../../src/cli/formats/byte-reader.ts";
import { ByteTarget } from "../../src/cli/formats/byte-target.ts";
import type { Page } from "../../src/cli/formats/format.ts";
import { formatOf } from "../../src/cli/formats/formats.ts";
import { KeySupply } from "../../src/cli/formats/key-supply.ts";
import { temporaryDirectory } from "../harness/directory.ts";

type Columns = { key?: string; vector?: string; attributes?: string[] };

/** Keys, and faults as they are said, in order. */
async function read(name: string, bytes: Uint8Array | string, columns: Columns = {}): Promise<unknown[]> {
  const file = `${temporaryDirectory()}/${name}`;
  fs.writeFileSync(file, bytes);
  return (await rowsOf(file, columns)).map((row) =>
    "fault" in row ? row.fault : row.key.toString("latin1"),
  );
}

async function rowsOf(file: string, columns: Columns = {}): Promise<Page> {
  const source = await ByteReader.open(file);
  const keys = new KeySupply("");
  const input = await formatOf(file).read(source, { ...columns, expireTimes: true, keys, skip: 0 });
  const rows: Page[number][] = [];
  for await (const page of input.pages()) rows.push(...page);
  source.close();
  return rows;
}

async function write(file: string, keys: readonly (string | Buffer)[]): Promise<void> {
  const target = await ByteTarget.open(file);
  const shape = { dimensions: 2, hasAttributes: false, hasExpireTimes: false };
  const output = await formatOf(file).write(target, shape);
  for (const [position, key] of keys.entries())
    await output.write({ key, vector: Float32Array.of(position, 1), position, place: position + 1 });
  await output.finish();
  await target.finish();
  await output.close?.();
  await target.close();
}

function npy(type: string, shape: string, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape}), }\n`;
  const head = Buffer.from("\x93NUMPY\x01\x00\x00\x00", "latin1");
  head.writeUInt16LE(text.length, 8);
  return Buffer.concat([head, Buffer.from(text), body]);
}

test("a column that is used and comes twice is refused; one that is left out may", async () => {
  await expect(read("twice.csv", "key,vector,key\na,1 2,b\n")).rejects.toThrow("more than one column 'key'");
  await expect(read("twice.csv", "key,vector,t,t\na,1 2,b,c\n", { attributes: ["*"] })).rejects.toThrow(
    "'t'",
  );
  expect(await read("twice.csv", "key,vector,,\na,1 2,,\n")).toEqual(["a"]);
});

test("rows that are not UTF-8 are bad rows, and do not become one", async () => {
  const csv = Buffer.from("key,vector\nM\xfcller,1 2\nM\xf6ller,1 2\nMiller,1 2\n", "latin1");
  expect(await read("latin.csv", csv)).toEqual(["it is not UTF-8", "it is not UTF-8", "Miller"]);
  const lines = Buffer.from('{"key":"M\xfcller","vector":[1]}\n{"key":"\\u00fc","vector":[1]}\n', "latin1");
  expect(await read("latin.jsonl", lines)).toEqual(["the line is not UTF-8", expect.any(String)]);
  const header = Buffer.from("key,vector,\xfc\na,1 2,3\n", "latin1");
  await expect(read("latin.csv", header)).rejects.toThrow("line 1: it is not UTF-8");
});

test("marks of the encoding at the beginning are no part of the first name", async () => {
  expect(await read("mark.jsonl", '\ufeff{"key":"a","vector":[1]}')).toEqual(["a"]);
  expect(await read("mark.csv", "\ufeffkey,vector\na,1\n")).toEqual(["a"]);
  expect(await read("utf16.csv", Buffer.from("\ufeffkey,vector\na,1\n", "utf16le"))).toEqual(["a"]);
  const lines = Buffer.from('\ufeff{"key":"a","vector":[1]}\n', "utf16le");
  await expect(read("utf16.jsonl", lines)).rejects.toThrow("the text is UTF-16; it has to be UTF-8");
});

test("both ends of lines end a record of CSV", async () => {
  const rows = 'vector,key\r\n1 2,a\n1 2,b\r\n1 2,"c\r\n"\n1 2,d';
  expect(await read("ends.csv", rows)).toEqual(["a", "b", "c\r\n", "d"]);
  expect(await read("ends.csv", "vector,key\n1 2,a\r\n")).toEqual(["a"]);
  expect(await read("ends.csv", "vector,key\r1 2,a\r1 2,b")).toEqual(["a", "b"]);
});

test("ids of 64 bits keep their last digits, and halves of surrogate pairs are no keys", async () => {
  const ids = ["1234567890123456789", "1234567890123456788", "7"];
  const lines = ids.map((id) => `{"id":${id},"vector":[1]}`).join("\n");
  expect(await read("ids.jsonl", lines)).toEqual(ids);
  const half = "'key' has half of a surrogate pair, which is no text";
  expect(await read("half.jsonl", '{"key":"\\ud800","vector":[1]}\n{"key":"\\udfff","vector":[1]}')).toEqual([
    half,
    half,
  ]);
});

test("a vector without components is a bad row, and does not decide how many all have", async () => {
  const rows = '{"key":"a","vector":[]}\n{"key":"b","vector":[1]}';
  expect(await read("none.jsonl", rows)).toEqual(["the vector in 'vector' has no components", "b"]);
});

test.each(["npz", "parquet", "arrow", "jsonl", "csv"])(
  "%s gives back every key that it takes",
  async (format) => {
    const file = `${temporaryDirectory()}/odd.${format}`;
    const keys = [
      "a",
      "a\r",
      "\r",
      "a\nb",
      "\n",
      "\ufeffa",
      "\ufeff",
      "\0a",
      '"',
      "k".repeat(1_024),
      "\u{1f600}",
    ];
    await write(file, keys);
    expect((await rowsOf(file)).map((row) => "key" in row && row.key.toString())).toEqual(keys);
  },
);

test("a header that claims too much is refused before memory is taken for it", async () => {
  await expect(read("a.npy", npy("<f4", "1000000000000, 0"))).rejects.toThrow("vectors of 0 components");
  await expect(read("a.npy", npy("<f4", "10, 1000000000"))).rejects.toThrow("of 1000000000 components");
  const long = Buffer.from("\x93NUMPY\x02\x00\xff\xff\xff\x7f", "latin1");
  await expect(read("a.npy", long)).rejects.toThrow("the header claims 2147483647 bytes");
  await expect(read("a.fvecs", Buffer.alloc(8))).rejects.toThrow("the first vector claims 0 components");
  expect(await read("a.fvecs", "")).toEqual([]);
});

test("damaged files of Parquet and Arrow are called so", async () => {
  for (const name of ["parquet", "arrow"]) {
    const format = name === "parquet" ? "Parquet" : "Arrow";
    await expect(read(`empty.${name}`, "")).rejects.toThrow(`it is no whole ${format} file`);
  }
});

test("an Arrow file whose lengths lead backwards ends", async () => {
  const file = `${temporaryDirectory()}/back.arrow`;
  await write(file, ["a"]);
  const bytes = fs.readFileSync(file);
  // The mark before the first length, which makes that a negative length of its own.
  bytes[8]! ^= 0xff;
  await expect(read("back.arrow", bytes)).rejects.toThrow("it is no whole Arrow file");
});
