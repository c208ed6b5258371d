/**
 * A connection that reads by XREAD. Its reads pass by ioredis, which takes some 10 µs to send a command and to hand on
 * its reply: they are written to the socket as they are, and their replies are decoded by `decoder.ts`. ioredis keeps
 * the connection, and may send other commands while no read is under way.
 */
import { type Redis, ReplyError } from "ioredis";
import { closedMessage, silenceMsMax } from "../../redis/connection.ts";
import { encodeCommand } from "../../redis/encode-command.ts";
import { nodeTag } from "../../redis/keys.ts";
import { decodeBefore } from "../../redis/large-values.ts";
import { type ProofsOf, type StreamRequests, XreadDecoder } from "./decoder.ts";

/** A node of a cluster refuses an XREAD of several slots. */
export const xreadCommand = (): string => (nodeTag === "" ? "XREAD" : "VSTORE.XREAD");

const MINUS = "-".charCodeAt(0);
const LF = "\n".charCodeAt(0);
const nothing = Buffer.alloc(0);

interface Reading {
  readonly resolve: (read: readonly StreamRequests[]) => void;
  readonly reject: (error: Error) => void;
  /** What the reply is, once its first byte has come. */
  reply: "array" | "error" | undefined;
}

export class XreadConnection {
  readonly #redis: Redis;
  readonly #decoder: XreadDecoder;
  /** The read that is under way. */
  #reading: Reading | undefined;
  /** Of the commands sent ahead of it, each of which is answered by one line. */
  readonly #ahead: ((line: string) => void)[] = [];
  /** A line that has begun. */
  #line = "";
  /** Those that are not sent yet. */
  #unsent: Buffer[] = [];
  /** Ends a connection that says nothing although an answer is due. */
  readonly #silence: NodeJS.Timeout;

  /** @param redis on which no command is under way */
  constructor(redis: Redis, proofsOf: ProofsOf) {
    this.#redis = redis;
    this.#decoder = new XreadDecoder(proofsOf);
    this.#silence = setTimeout(() => this.#endSilent(), silenceMsMax).unref();
    decodeBefore(redis, (pass) => (bytes) => this.#decode(bytes, pass));
    redis.once("close", () => this.#end());
  }

  /** Whether no read is under way, so that Redis runs at once what is sent. */
  get isFree(): boolean {
    return this.#reading === undefined;
  }

  /**
   * Sends a command with the next read, in one write, and at the latest after the next turn of the event loop. Must be
   * called while the connection is free.
   *
   * @returns what Redis answers, which must be one line; nothing where the connection ends before or has ended
   */
  sendAhead(command: Buffer): Promise<string> {
    if (!this.#isReady) return Promise.resolve("");
    if (this.#unsent.length === 0) setImmediate(() => setImmediate(() => this.#sendUnsent()));
    this.#unsent.push(command);
    return this.#lineOf();
  }

  /** The same, but sends it at once. */
  send(command: Buffer): Promise<string> {
    if (!this.#isReady) return Promise.resolve("");
    this.#unsent.push(command);
    this.#sendUnsent();
    return this.#lineOf();
  }

  /**
   * Must not be called while another read is under way on the connection.
   *
   * @param command one that answers as XREAD does
   */
  read(args: readonly (string | number)[], command = xreadCommand()): Promise<readonly StreamRequests[]> {
    if (!this.#isReady) return Promise.reject(new Error(closedMessage));
    this.#unsent.push(encodeCommand([command, ...args.map(String)]));
    this.#sendUnsent();
    return new Promise((resolve, reject) => {
      this.#reading = { resolve, reject, reply: undefined };
    });
  }

  get #isReady(): boolean {
    return this.#redis.status === "ready";
  }

  #lineOf(): Promise<string> {
    return new Promise((resolve) => {
      this.#ahead.push(resolve);
    });
  }

  #sendUnsent(): void {
    const unsent = this.#unsent;
    if (unsent.length === 0) return;
    this.#unsent = [];
    if (!this.#isReady) return;
    this.#silence.refresh();
    this.#redis.stream.write(unsent.length === 1 ? unsent[0]! : Buffer.concat(unsent));
  }

  #decode(all: Buffer, pass: (bytes: Buffer) => void): void {
    this.#silence.refresh();
    let rest: Buffer | undefined = this.#ahead.length === 0 ? all : this.#takeLines(all);
    if (rest.length > 0 && this.#reading !== undefined) rest = this.#readOn(this.#reading, rest);
    if (rest !== undefined && rest.length > 0) pass(rest);
  }

  /** @returns what comes after them */
  #takeLines(bytes: Buffer): Buffer {
    let rest = bytes;
    while (this.#ahead.length > 0 && rest.length > 0) rest = this.#takeLine(rest, this.#ahead);
    return rest;
  }

  /** @param takers of lines, of which the first one gets it once it is whole. @returns what comes after it */
  #takeLine(bytes: Buffer, takers: ((line: string) => void)[]): Buffer {
    const end = bytes.indexOf(LF) + 1;
    this.#line += bytes.toString("latin1", 0, end > 0 ? end : bytes.length);
    if (end === 0) return nothing;
    const line = this.#line;
    this.#line = "";
    takers.shift()!(line);
    return bytes.subarray(end);
  }

  /** @returns the bytes after the reply; undefined while it goes on */
  #readOn(reading: Reading, bytes: Buffer): Buffer | undefined {
    reading.reply ??= bytes[0] === MINUS ? "error" : "array";
    if (reading.reply === "error") return this.#takeLine(bytes, [(line) => this.#refuse(reading, line)]);
    const rest = this.#write(bytes);
    if (rest === undefined) return undefined;
    this.#reading = undefined;
    reading.resolve(this.#decoder.take());
    return rest;
  }

  #refuse(reading: Reading, line: string): void {
    this.#reading = undefined;
    reading.reject(new ReplyError(line.slice(1).trimEnd()));
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

  #endSilent(): void {
    if (this.#reading === undefined && this.#ahead.length === 0) return;
    this.#redis.stream.destroy(new Error(`Redis has said nothing for ${silenceMsMax} ms`));
  }

  #end(): void {
    clearTimeout(this.#silence);
    for (const end of this.#ahead.splice(0)) end("");
    this.#reading?.reject(new Error(closedMessage));
    this.#reading = undefined;
  }
}
