/**
 * A command whose arguments go to the socket without a copy. ioredis joins them first, and copying tens of megabytes
 * blocks the event loop for longer than a turn may take.
 */
import type { Writable } from "node:stream";
import { Command } from "ioredis";

export class PiecewiseCommand extends Command {
  readonly #name: string;
  readonly #words: readonly (string | Buffer)[];

  constructor(name: string, words: readonly (string | Buffer)[]) {
    super(name, [...words]);
    this.#name = name;
    this.#words = words;
  }

  /** Writes everything but the end of the command, which ioredis writes then. */
  override toWritable(socket: object): string {
    const stream = socket as Writable;
    stream.cork();
    process.nextTick(() => stream.uncork());
    let text = `*${this.#words.length + 1}\r\n$${this.#name.length}\r\n${this.#name}\r\n`;
    for (const word of this.#words) {
      text += `$${Buffer.byteLength(word)}\r\n`;
      if (typeof word === "string") {
        text += `${word}\r\n`;
        continue;
      }
      stream.write(text, "utf8");
      stream.write(word);
      text = "\r\n";
    }
    return text;
  }
}
