/** Bytes of a file, a pipe or another stream, in order, as many at a time as the reader wants. */
import { isUtf8 } from "node:buffer";
import { once } from "node:events";
import * as fs from "node:fs";
import type { Readable } from "node:stream";

const chunkBytes = 1024 * 1024;
/** One line of text: a vector of 16,384 components and its attributes have room. */
const lineBytesMax = 16 * 1024 * 1024;
/** Byte order marks, with which some programs begin their texts. */
const utf8Mark = Buffer.from("efbbbf", "hex");
const utf16Mark = Buffer.from("fffe", "hex");

export class ByteReader {
  /** For formats that have to go back and forth; undefined for a pipe. */
  readonly path: string | undefined;
  /** Undefined for a pipe. */
  readonly size: number | undefined;
  #stream: Readable;
  #chunks: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  #consumed = 0;

  constructor(stream: Readable, file?: { path: string; size: number }) {
    this.path = file?.path;
    this.size = file?.size;
    this.#stream = stream;
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** @param path of a file or a named pipe; `-` is standard input. @throws Error when it cannot be opened */
  static async open(path: string): Promise<ByteReader> {
    if (path === "-") return new ByteReader(process.stdin);
    const stream = fs.createReadStream(path, { highWaterMark: chunkBytes });
    await once(stream, "open");
    const stats = await fs.promises.stat(path);
    return new ByteReader(stream, stats.isFile() ? { path, size: stats.size } : undefined);
  }

  /** How far it has been read. */
  get consumed(): number {
    return this.#consumed;
  }

  close(): void {
    this.#stream.destroy();
  }

  /** So many bytes in memory of their own; fewer only at the end. */
  async read(bytes: number): Promise<Buffer> {
    const into = Buffer.allocUnsafeSlow(bytes);
    let filled = 0;
    while (filled < bytes && (await this.#more())) {
      const taken = this.#take(bytes - filled);
      into.set(taken, filled);
      filled += taken.length;
    }
    return into.subarray(0, filled);
  }

  /** Gives bytes back that were read last. */
  unread(bytes: Buffer): void {
    this.#chunk = Buffer.concat([bytes, this.#chunk]);
    this.#consumed -= bytes.length;
  }

  /** @param what it is, for the message. @throws Error when there are fewer */
  async exactly(bytes: number, what: string): Promise<Buffer> {
    const read = await this.read(bytes);
    if (read.length < bytes) throw new Error(`the input ends inside ${what}, at byte ${this.#consumed}`);
    return read;
  }

  async skip(bytes: number): Promise<void> {
    if (this.path !== undefined && bytes > chunkBytes) return this.#seek(this.#consumed + bytes);
    for (let left = bytes; left > 0 && (await this.#more()); ) left -= this.#take(left).length;
  }

  /** Chunks as they come. */
  async *chunks(): AsyncGenerator<Buffer> {
    while (await this.#more()) yield this.#take(chunkBytes);
  }

  /** The encoding of the text that begins here, past the mark that may say so. */
  async encoding(): Promise<"utf8" | "utf16le"> {
    const head = await this.read(utf8Mark.length);
    const isMarked = head.equals(utf8Mark);
    if (!isMarked) this.unread(head);
    return head.subarray(0, utf16Mark.length).equals(utf16Mark) ? "utf16le" : "utf8";
  }

  /**
   * Lines without their ends, many at a time; undefined for one that is not UTF-8.
   *
   * @throws Error when one is too long
   */
  async *lines(): AsyncGenerator<Line[]> {
    if ((await this.encoding()) === "utf16le") throw new Error("the text is UTF-16; it has to be UTF-8");
    let rest = Buffer.alloc(0);
    for await (const chunk of this.chunks()) {
      const end = chunk.lastIndexOf(0x0a);
      const whole = end < 0 ? undefined : Buffer.concat([rest, chunk.subarray(0, end)]);
      rest = whole === undefined ? Buffer.concat([rest, chunk]) : Buffer.from(chunk.subarray(end + 1));
      if (rest.length > lineBytesMax) throw new Error(`a line is longer than ${lineBytesMax} bytes`);
      if (whole !== undefined) yield linesOf(whole);
    }
    if (rest.length > 0) yield linesOf(rest);
  }

  async #more(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const { value, done } = await this.#chunks.next();
      if (done) return false;
      this.#chunk = value;
    }
    return true;
  }

  #take(bytesMax: number): Buffer {
    const taken = this.#chunk.subarray(0, bytesMax);
    this.#chunk = this.#chunk.subarray(taken.length);
    this.#consumed += taken.length;
    return taken;
  }

  #seek(offset: number): void {
    this.#stream.destroy();
    this.#stream = fs.createReadStream(this.path!, { highWaterMark: chunkBytes, start: offset });
    this.#chunks = this.#stream[Symbol.asyncIterator]();
    this.#chunk = Buffer.alloc(0);
    this.#consumed = offset;
  }
}

/** Text, or undefined where the bytes are not UTF-8. */
export type Line = string | undefined;

function linesOf(bytes: Buffer): Line[] {
  if (isUtf8(bytes)) return bytes.toString().split("\n").map(withoutReturn);
  return bytes
    .toString("latin1")
    .split("\n")
    .map((line) => {
      const own = Buffer.from(line, "latin1");
      return isUtf8(own) ? withoutReturn(own.toString()) : undefined;
    });
}

const withoutReturn = (line: string): string => (line.endsWith("\r") ? line.slice(0, -1) : line);
