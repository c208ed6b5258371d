/**
 * NumPy's .npz, a ZIP of arrays: `vectors.npy` or the only matrix there is, `keys.npy` with the keys where there are
 * some, and `attributes.jsonl`, a line of JSON for each row, empty for none. numpy.load shows all three.
 */
import * as fs from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { crc32 } from "node:zlib";
import { type Entry, open as openZip, type ZipFile as ZipReader } from "yauzl";
import { ZipFile as ZipWriter } from "yazl";
import type { BadRow, Row } from "../../bridge/transfer/row.ts";
import { ByteReader, type Line } from "./byte-reader.ts";
import { ByteTarget } from "./byte-target.ts";
import { utf8Key } from "./cells.ts";
import {
  type Choice,
  type Format,
  type Input,
  type Output,
  type Page,
  RowFault,
  type Shape,
} from "./format.ts";
import { headerOf, isMatrix, NpyOutput, readHeader, textType, vectorsOf } from "./npy.ts";

const keysAtOnce = 4_096;
const keyBlockBytes = 1024 * 1024;

export const npz: Format = {
  endings: [".npz"],
  hasKeys: true,
  readsFileOnly: true,
  writesFileOnly: true,
  read,
  write: (target, shape) => NpzOutput.open(target, shape),
};

async function read(source: ByteReader, choice: Choice): Promise<Input> {
  const zip = await promisify<string, object, ZipReader>(openZip)(source.path!, { autoClose: false });
  const entries = await entriesOf(zip);
  const member = async (name: string): Promise<ByteReader> => {
    const entry = entries.get(name)!;
    const bytes: Readable = await promisify(zip.openReadStream.bind(zip) as never)(entry);
    return new ByteReader(Readable.from(checked(bytes, entry)));
  };
  const open = async (name: string) => {
    const reader = await member(name);
    return { name, reader, header: await readHeader(reader) };
  };
  const name = await matrixAmong([...entries.keys()], open, choice.vector);
  const { reader, header } = await open(name);
  const keysName = `${choice.key ?? "keys"}.npy`;
  if (choice.key !== undefined && !entries.has(keysName))
    throw new Error(`there is no array '${choice.key}' in it`);
  const vectors = vectorsOf(reader, header, choice);
  const keys = entries.has(keysName) ? keysOf(await open(keysName), header.shape[0]!, choice) : undefined;
  const texts = entries.has("attributes.jsonl") ? (await member("attributes.jsonl")).lines() : undefined;
  const says = [
    `vectors: ${name}`,
    `keys: ${keys === undefined ? choice.keys.says : keysName}`,
    `attributes: ${texts === undefined ? "none" : "attributes.jsonl"}`,
  ].join("; ");
  return {
    ...vectors,
    says,
    pages: () => together(vectors.pages(), keys, texts && attributesOf(texts, header.shape[0]!), choice.skip),
  };
}

/** Its last bytes come only when all of them have its checksum, which yauzl does not compare. */
async function* checked(bytes: AsyncIterable<Buffer>, entry: Entry): AsyncGenerator<Buffer> {
  let [checksum, size] = [0, 0];
  for await (const chunk of bytes) {
    checksum = crc32(chunk, checksum);
    size += chunk.length;
    if (size === entry.uncompressedSize && checksum !== entry.crc32)
      throw new Error(`'${entry.fileName}' in it is damaged: its checksum is not the one that it had`);
    yield chunk;
  }
}

type Open = (
  name: string,
) => Promise<{ header: { type: string; shape: readonly number[] }; reader: ByteReader }>;

async function matrixAmong(names: readonly string[], open: Open, wanted?: string): Promise<string> {
  const arrays = names.filter((name) => name.endsWith(".npy"));
  const named = `${wanted ?? "vectors"}.npy`;
  if (arrays.includes(named)) return named;
  if (wanted !== undefined)
    throw new Error(`there is no array '${wanted}' in it; there are ${arrays.join(", ")}`);
  const matrices: string[] = [];
  for (const name of arrays) {
    const { header, reader } = await open(name);
    reader.close();
    if (isMatrix(header)) matrices.push(name);
  }
  if (matrices.length === 1) return matrices[0]!;
  throw new Error(`--vector has to say which array: there are ${arrays.join(", ")}`);
}

function entriesOf(zip: ZipReader): Promise<Map<string, Entry>> {
  return new Promise((resolve, reject) => {
    const entries = new Map<string, Entry>();
    zip.on("entry", (entry: Entry) => void entries.set(entry.fileName, entry));
    zip.on("end", () => resolve(entries));
    zip.on("error", reject);
  });
}

async function* keysOf(
  { reader, header }: Awaited<ReturnType<Open>>,
  rows: number,
  { skip, keys }: Choice,
): AsyncGenerator<string | Buffer> {
  const { bytes, text } = textType(header);
  const atOnce = Math.min(keysAtOnce, Math.ceil(keyBlockBytes / bytes));
  if (header.shape[0] !== rows) throw new Error(`${header.shape[0]} keys for ${rows} vectors`);
  await reader.skip(skip * bytes);
  for (let at = skip; at < rows; at += atOnce) {
    const count = Math.min(atOnce, rows - at);
    const block = await reader.exactly(count * bytes, "the keys");
    for (let i = 0; i < count; i++) {
      const key = text(block.subarray(i * bytes, (i + 1) * bytes));
      if (key === undefined) throw new Error(`key ${at + i + 1} holds a code that is no character`);
      yield keys.prefixed(key);
    }
  }
}

/** The last line may be missing: where it is empty, some programs leave it out. */
async function* attributesOf(pages: AsyncGenerator<Line[]>, rows: number): AsyncGenerator<Line> {
  let count = 0;
  for await (const page of pages) {
    count += page.length;
    yield* page;
  }
  if (count === rows - 1) yield "";
  else if (count !== rows) throw new Error(`attributes.jsonl has ${count} lines for ${rows} vectors`);
}

async function* together(
  pages: AsyncIterable<Page>,
  keys: AsyncGenerator<string | Buffer> | undefined,
  texts: AsyncGenerator<Line> | undefined,
  skip: number,
): AsyncGenerator<Page> {
  for (let i = 0; texts !== undefined && i < skip; i++) await texts.next();
  for await (const page of pages) {
    const rows: (Row | BadRow)[] = [];
    for (const row of page as Row[]) {
      const key = keys === undefined ? row.key : (await keys.next()).value;
      if (texts === undefined) rows.push({ ...row, key });
      else {
        const attributes = (await texts.next()).value;
        if (attributes !== undefined) rows.push({ ...row, key, attributes });
        else rows.push({ position: row.position, place: row.place, fault: "its attributes are not UTF-8" });
      }
    }
    yield rows;
  }
  await texts?.next();
}

/** The members are written beside the file first, as each of them is one piece of it. */
class NpzOutput implements Output {
  readonly #target: ByteTarget;
  readonly #directory: string;
  readonly #vectors: ByteTarget;
  readonly #vectorsOutput: NpyOutput;
  readonly #attributes: ByteTarget | undefined;
  readonly #keys: ByteTarget;
  #longest = 1;
  #rows = 0;

  private constructor(
    target: ByteTarget,
    directory: string,
    members: readonly ByteTarget[],
    dimensions: number,
  ) {
    const [vectors, keys, attributes] = members;
    this.#target = target;
    this.#directory = directory;
    this.#vectors = vectors!;
    this.#keys = keys!;
    this.#attributes = attributes;
    this.#vectorsOutput = new NpyOutput(vectors!, dimensions);
  }

  static async open(target: ByteTarget, { dimensions, hasAttributes }: Shape): Promise<NpzOutput> {
    const directory = await fs.promises.mkdtemp(`${target.path}.`);
    const names = ["vectors.npy", "keys.jsonl", ...(hasAttributes ? ["attributes.jsonl"] : [])];
    const members = await Promise.all(names.map((name) => ByteTarget.open(`${directory}/${name}`)));
    return new NpzOutput(target, directory, members, dimensions);
  }

  async write(row: Row): Promise<void> {
    const key = utf8Key(row.key);
    if (key.endsWith("\0")) throw new RowFault("a key with a zero at its end");
    this.#longest = Math.max(this.#longest, [...key].length);
    this.#rows++;
    await this.#keys.write(`${JSON.stringify(key)}\n`);
    await this.#vectorsOutput.write(row);
    await this.#attributes?.write(`${(row.attributes ?? "").replaceAll(/[\r\n]/g, " ")}\n`);
  }

  async finish(): Promise<void> {
    await this.#vectorsOutput.finish();
    await Promise.all([this.#vectors.finish(), this.#keys.finish(), this.#attributes?.finish()]);
    await this.#writeKeys();
    const zip = new ZipWriter();
    const names = [
      "vectors.npy",
      "keys.npy",
      ...(this.#attributes === undefined ? [] : ["attributes.jsonl"]),
    ];
    for (const name of names) zip.addFile(`${this.#directory}/${name}`, name, { compress: false });
    zip.end();
    await pipeline(zip.outputStream, async (chunks) => {
      for await (const chunk of chunks) await this.#target.write(chunk as Buffer);
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#vectors.close(), this.#keys.close(), this.#attributes?.close()]);
    await fs.promises.rm(this.#directory, { recursive: true, force: true });
  }

  /** As texts of one length, which is known now. */
  async #writeKeys(): Promise<void> {
    const target = await ByteTarget.open(`${this.#directory}/keys.npy`);
    await target.write(headerOf(`<U${this.#longest}`, [this.#rows]));
    const reader = await ByteReader.open(`${this.#directory}/keys.jsonl`);
    for await (const keys of reader.lines()) {
      for (const key of keys)
        await target.write(new Uint8Array(characters(JSON.parse(key!), this.#longest).buffer));
    }
    await target.finish();
    await target.close();
  }
}

function characters(text: string, length: number): Uint32Array {
  const codes = new Uint32Array(length);
  let at = 0;
  for (const character of text) codes[at++] = character.codePointAt(0)!;
  return codes;
}
