/** FORMAT.md's worked example: the dump of the files of one small collection, which this test writes and compares. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Catalog } from "../../src/engine/catalog.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const BYTES_PER_LINE = 16;

const page = readFileSync(new URL("../../src/engine/FORMAT.md", import.meta.url), "utf8");

async function writeExample(): Promise<string> {
  const directory = temporaryDirectory();
  const catalog = await Catalog.open(directory);
  const docs = await catalog.create("docs", resolveOptions({ dimensions: 3, metric: "L2" }), "1-0");
  docs.insert(Buffer.from("a"), new Float32Array([1, 0, -2]), { attributes: '{"n":1}' });
  docs.insert(Buffer.from("b"), new Float32Array([0.5, 0, 0]));
  docs.delete([Buffer.from("b")]);
  await catalog.close();
  return join(directory, "c-docs");
}

/** Lines of an offset and up to 16 bytes, all in hexadecimal. */
function dump(bytes: Buffer, from: number, to: number): string {
  const lines: string[] = [];
  for (let at = from; at < to; at += BYTES_PER_LINE) {
    const line = bytes.subarray(at, Math.min(at + BYTES_PER_LINE, to)).toString("hex");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${line.match(/../g)!.join(" ")}`);
  }
  return lines.join("\n");
}

test.each([
  ["segment-000000.vec", 0, 44],
  ["segment-000000.vec", 4096, 4120],
  ["pages.crc", 0, 16],
  ["keys.log", 0, 54],
  ["attributes.log", 0, 35],
])("%s from byte %i to %i", async (file, from, to) => {
  const bytes = readFileSync(join(await writeExample(), file));
  expect(page).toContain(dump(bytes, from, to));
});

test("what the manifest says of the page that is not full", async () => {
  const { pages } = JSON.parse(readFileSync(join(await writeExample(), "MANIFEST.json"), "utf8"));
  expect(page).toContain(`"pages": ${JSON.stringify(pages)}`);
});
