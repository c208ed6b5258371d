/**
 * Where an export goes: a file that appears under its name when it is whole, or standard output. Bytes are gathered
 * into chunks.
 */
import * as fs from "node:fs";
import { print, UseError } from "../exit.ts";

const chunkBytes = 1024 * 1024;

export class ByteTarget {
  /** Undefined for standard output. */
  readonly path: string | undefined;
  readonly #file: fs.promises.FileHandle | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #isWhole = false;

  private constructor(path?: string, file?: fs.promises.FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** @param path `-` is standard output. @throws UseError when the file exists */
  static async open(path: string, force = false): Promise<ByteTarget> {
    if (path === "-") return new ByteTarget();
    if (!force && fs.existsSync(path)) throw new UseError(`${path} exists; --force replaces it`);
    return new ByteTarget(path, await fs.promises.open(partOf(path), "w"));
  }

  /** Takes the bytes; they may not change afterwards. @returns a promise when they have to be waited for */
  write(bytes: Uint8Array | string): Promise<void> | undefined {
    const buffer = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
    this.#waiting.push(buffer);
    this.#waitingBytes += buffer.length;
    return this.#waitingBytes < chunkBytes ? undefined : this.#flush();
  }

  /** Replaces bytes that are written already. Of a file only. */
  async patch(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#flush();
    await this.#file!.write(bytes, 0, bytes.length, offset);
  }

  /** Gives the file its name: it is whole. */
  async finish(): Promise<void> {
    await this.#flush();
    if (this.#file === undefined) return;
    await this.#file.sync();
    await fs.promises.rename(partOf(this.path!), this.path!);
    this.#isWhole = true;
  }

  /** Removes a file that is not whole. */
  async close(): Promise<void> {
    await this.#file?.close();
    if (this.path !== undefined && !this.#isWhole) await fs.promises.rm(partOf(this.path), { force: true });
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (this.#file !== undefined) await this.#file.writeFile(bytes);
    else await print(bytes);
  }
}

export const partOf = (path: string): string => `${path}.part`;
