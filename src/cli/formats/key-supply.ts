/** Keys of rows that have none of their own: lines of a file, or the row's number, each after the prefix. */
import { ByteReader, type Line } from "./byte-reader.ts";

export class KeySupply {
  readonly #prefix: string;
  readonly #file: string | undefined;
  #lines: AsyncGenerator<Line[]> | undefined;
  #waiting: string[] = [];
  #read = 0;
  #next = 0;

  constructor(prefix: string, file?: string) {
    this.#prefix = prefix;
    this.#file = file;
  }

  get says(): string {
    const number =
      this.#prefix === "" ? "the row's number, from 0" : `'${this.#prefix}' and the row's number, from 0`;
    return this.#file === undefined ? number : `lines of ${this.#file}`;
  }

  prefixed(key: string | Buffer): string | Buffer {
    if (this.#prefix === "") return key;
    return typeof key === "string" ? this.#prefix + key : Buffer.concat([Buffer.from(this.#prefix), key]);
  }

  /** Keys of `count` rows from `position` on, which may only grow. @throws Error when the file has too few */
  async take(position: number, count: number): Promise<string[]> {
    if (this.#file === undefined)
      return Array.from({ length: count }, (_, i) => `${this.#prefix}${position + i}`);
    const keys: string[] = [];
    this.#lines ??= (await ByteReader.open(this.#file)).lines();
    while (keys.length < count) {
      if (this.#waiting.length === 0) await this.#readOn();
      const passed = Math.min(Math.max(position - this.#next, 0), this.#waiting.length);
      const taken = this.#waiting.slice(passed, passed + count - keys.length);
      this.#waiting = this.#waiting.slice(passed + taken.length);
      this.#next += passed + taken.length;
      for (const key of taken) keys.push(this.#prefix + key);
    }
    return keys;
  }

  async #readOn(): Promise<void> {
    const { value, done } = await this.#lines!.next();
    if (done) throw new Error(`${this.#file} has ${this.#next} keys, which is fewer than there are rows`);
    const stray = value.indexOf(undefined);
    if (stray >= 0) throw new Error(`line ${this.#read + stray + 1} of ${this.#file} is not UTF-8`);
    this.#read += value.length;
    this.#waiting = value as string[];
  }
}
