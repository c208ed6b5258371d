/**
 * Files of Parquet and Arrow that lead the libraries that decode them astray: to count for ever, or to make more rows
 * than there is memory. The import says so, and goes on or ends as it does otherwise.
 */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { expect, test } from "vitest";
import { ByteTarget } from "../../src/cli/formats/byte-target.ts";
import { formatOf } from "../../src/cli/formats/formats.ts";
import type * as Apart from "../../src/cli/transfer/apart.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const dist = fileURLToPath(new URL("../../dist", import.meta.url));
/** As it ships: a thread runs no TypeScript. */
const { openApart } = (await import(`${dist}/cli/transfer/apart.js`)) as typeof Apart;
const patient = { heapMiB: 48, pageMs: 60_000 };

async function rowsOf(file: string, limits = patient): Promise<{ good: number; bad: number }> {
  const { input, close } = await openApart(formatOf(file), { file, flags: {}, skip: 0 }, limits);
  const count = { good: 0, bad: 0 };
  try {
    for await (const page of input.pages()) for (const row of page) count["fault" in row ? "bad" : "good"]++;
  } finally {
    close();
  }
  return count;
}

/** Of 20 rows, one byte of which is changed by `mask`. */
async function arrow(at: number, mask: number): Promise<string> {
  const file = `${temporaryDirectory()}/${at}.arrow`;
  const target = await ByteTarget.open(file);
  const shape = { dimensions: 2, hasAttributes: true, hasExpireTimes: false };
  const output = await formatOf(file).write(target, shape);
  for (let i = 0; i < 20; i++) {
    const row = { key: `k${i}`, vector: Float32Array.of(i, 1), attributes: `{"a":${i}}` };
    await output.write({ ...row, position: i, place: i + 1 });
  }
  await output.finish();
  await target.finish();
  await output.close?.();
  await target.close();
  const bytes = fs.readFileSync(file);
  bytes[at]! ^= mask;
  fs.writeFileSync(file, bytes);
  return file;
}

/** Of rows that are all the same, which take nothing in a file, and memory once they are rows. */
function parquetBomb(rows: number, dimensions: number): string {
  const writer = new ByteWriter();
  const file = new ParquetWriter({
    writer: Object.assign(writer, { flush() {} }),
    schema: [
      { name: "schema", num_children: 2 },
      { name: "key", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
      { name: "vector", converted_type: "LIST", num_children: 1, repetition_type: "REQUIRED" },
      { name: "list", num_children: 1, repetition_type: "REPEATED" },
      { name: "element", type: "FLOAT", repetition_type: "REQUIRED" },
    ],
  });
  const vector = new Array<number>(dimensions).fill(1);
  const columnData = [
    { name: "key", data: new Array<string>(rows).fill("k") },
    { name: "vector", data: new Array<number[]>(rows).fill(vector) },
  ];
  file.write({ columnData, rowGroupSize: rows });
  file.finish();
  const path = `${temporaryDirectory()}/bomb.parquet`;
  fs.writeFileSync(path, Buffer.from(writer.getBuffer()));
  return path;
}

test("what is whole is read, in a thread of its own", async () => {
  expect(await rowsOf(await arrow(0, 0))).toEqual({ good: 20, bad: 0 });
});

test("rows that a file claims and does not have are no rows", async () => {
  await expect(rowsOf(await arrow(82, 0xff))).rejects.toThrow("fewer values than it claims");
});

test("decoding that does not end is ended", async () => {
  const limits = { heapMiB: 2_048, pageMs: 500 };
  await expect(rowsOf(await arrow(246, 0x40), limits)).rejects.toThrow("not decoded after 0.5 s of work");
});

test("rows that do not fit into memory are an error, not the end of the process", async () => {
  await expect(rowsOf(parquetBomb(8_000, 1_000))).rejects.toThrow("take more than 48 MiB of memory");
});

test("a pipe is read in that thread too, and what a flag gets wrong ends with exit code 2", async () => {
  const input = fs.readFileSync(await arrow(0, 0));
  const run = (...flags: string[]) =>
    spawnSync(
      process.execPath,
      [
        `${dist}/cli.js`,
        "import",
        "c",
        "-",
        "--format",
        "arrow",
        "--redis-url",
        "redis://127.0.0.1:1",
        ...flags,
      ],
      { input, encoding: "utf8" },
    );
  expect(run("--key", "keys").stderr).toContain("there is no column 'keys', did you mean 'key'?");
  expect(run("--key", "keys").status).toBe(2);
  const { stderr } = run("--dry-run");
  expect(stderr).toContain("key: key; vector: vector; attributes: attributes");
});
