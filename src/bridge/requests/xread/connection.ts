/**
 * A connection whose replies to XREAD are decoded by `decoder.ts`. Everything else is left to ioredis, which gets an
 * empty reply in the place of one that was decoded here, so it still knows which command was answered. Errors and the
 * nil of a read that found nothing go the ordinary way.
 */
import { Command, type Redis } from "ioredis";
import { nodeTag } from "../../redis/keys.ts";
import { decodeBefore } from "../../redis/large-values.ts";
import { type ProofsOf, type StreamRequests, XreadDecoder } from "./decoder.ts";

/** A node of a cluster refuses an XREAD of several slots. */
export const xreadCommand = (): string => (nodeTag === "" ? "XREAD" : "VSTORE.XREAD");

const ARRAY = "*".charCodeAt(0);
const LF = "\n".charCodeAt(0);
const emptyReply = Buffer.from("*-1\r\n");
const nothing = Buffer.alloc(0);

/** Of whose bytes others come first. */
class XreadCommand extends Command {
  readonly #ahead: Buffer;

  constructor(name: string, args: readonly (string | number)[], ahead: Buffer) {
    super(name, [...args], { replyEncoding: null });
    this.#ahead = ahead;
  }

  override toWritable(socket: object): string | Buffer {
    const own = super.toWritable(socket);
    return this.#ahead.length === 0 ? own : Buffer.concat([this.#ahead, Buffer.from(own)]);
  }
}

export class XreadConnection {
  readonly #redis: Redis;
  readonly #decoder: XreadDecoder;
  /** Before the reply, while it is an array, and when it was one. */
  #reply: "none" | "expected" | "begun" | "read" = "none";
  /** Of the commands sent ahead of it, each of which is answered by one line. */
  readonly #ahead: ((line: string) => void)[] = [];
  #line = "";
  /** Those that are not sent yet. */
  #unsent: Buffer[] = [];

  /** @param redis on which no command is under way */
  constructor(redis: Redis, proofsOf: ProofsOf) {
    this.#redis = redis;
    this.#decoder = new XreadDecoder(proofsOf);
    decodeBefore(redis, (pass) => (bytes) => this.#decode(bytes, pass));
    redis.once("close", () => {
      for (const end of this.#ahead.splice(0)) end("");
    });
  }

  /** Whether no read is under way, so that Redis runs at once what is sent. */
  get isFree(): boolean {
    return this.#reply === "none";
  }

  /**
   * Sends a command with the next read, in one write, and at the latest after the next turn of the event loop. Must be
   * called while the connection is free.
   *
   * @returns what Redis answers, which must be one line; nothing where the connection ends before or has ended
   */
  sendAhead(command: Buffer): Promise<string> {
    if (this.#redis.status !== "ready") return Promise.resolve("");
    if (this.#unsent.length === 0) setImmediate(() => setImmediate(() => this.#sendAlone()));
    this.#unsent.push(command);
    return new Promise((resolve) => {
      this.#ahead.push(resolve);
    });
  }

  #sendAlone(): void {
    const unsent = this.#takeUnsent();
    if (unsent.length > 0 && this.#redis.status === "ready") this.#redis.stream.write(unsent);
  }

  #takeUnsent(): Buffer {
    const [first, ...others] = this.#unsent;
    if (first === undefined) return nothing;
    this.#unsent = [];
    return others.length === 0 ? first : Buffer.concat([first, ...others]);
  }

  /**
   * Must not be called while another read is under way on the connection.
   *
   * @param command one that answers as XREAD does
   */
  async read(
    args: readonly (string | number)[],
    command = xreadCommand(),
  ): Promise<readonly StreamRequests[]> {
    this.#reply = "expected";
    await this.#redis.sendCommand(new XreadCommand(command, args, this.#takeUnsent()));
    return this.#takeReply();
  }

  #takeReply(): readonly StreamRequests[] {
    const isRead = this.#reply === "read";
    this.#reply = "none";
    return isRead ? this.#decoder.take() : [];
  }

  #decode(all: Buffer, pass: (bytes: Buffer) => void): void {
    const bytes = this.#ahead.length === 0 ? all : this.#takeLines(all);
    if (bytes.length === 0) return;
    if (this.#reply === "expected") this.#reply = bytes[0] === ARRAY ? "begun" : "none";
    let rest: Buffer | undefined = bytes;
    if (this.#reply === "begun") {
      rest = this.#write(bytes);
      if (rest === undefined) return;
      this.#reply = "read";
      pass(emptyReply);
    }
    if (rest.length > 0) pass(rest);
  }

  /** @returns what comes after them */
  #takeLines(bytes: Buffer): Buffer {
    let start = 0;
    while (this.#ahead.length > 0) {
      const end = bytes.indexOf(LF, start) + 1;
      this.#line += bytes.toString("latin1", start, end > 0 ? end : bytes.length);
      if (end === 0) return bytes.subarray(bytes.length);
      this.#ahead.shift()!(this.#line);
      this.#line = "";
      start = end;
    }
    return bytes.subarray(start);
  }

  /** What cannot be decoded ends the connection, as it does with ioredis. */
  #write(bytes: Buffer): Buffer | undefined {
    try {
      return this.#decoder.write(bytes);
    } catch (error) {
      this.#redis.stream.destroy(error as Error);
      return undefined;
    }
  }
}
