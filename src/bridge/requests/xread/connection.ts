/**
 * A connection whose replies to XREAD are decoded by `decoder.ts`. Everything else is left to ioredis, which gets an
 * empty reply in the place of one that was decoded here, so it still knows which command was answered. Errors and the
 * nil of a read that found nothing go the ordinary way.
 */
import type { Redis } from "ioredis";
import { nodeTag } from "../../redis/keys.ts";
import { decodeBefore } from "../../redis/large-values.ts";
import { type ProofsOf, type StreamRequests, XreadDecoder } from "./decoder.ts";

/** A node of a cluster refuses an XREAD of several slots. */
export const xreadCommand = (): string => (nodeTag === "" ? "XREAD" : "VSTORE.XREAD");

const ARRAY = "*".charCodeAt(0);
const emptyReply = Buffer.from("*-1\r\n");

export class XreadConnection {
  readonly #redis: Redis;
  readonly #decoder: XreadDecoder;
  /** Before the reply, while it is an array, and when it was one. */
  #reply: "none" | "expected" | "begun" | "read" = "none";

  /** @param redis on which no command is under way */
  constructor(redis: Redis, proofsOf: ProofsOf) {
    this.#redis = redis;
    this.#decoder = new XreadDecoder(proofsOf);
    decodeBefore(redis, (pass) => (bytes) => this.#decode(bytes, pass));
  }

  /** Must not be called while another command is under way on the connection. */
  async read(args: readonly (string | number)[]): Promise<readonly StreamRequests[]> {
    this.#reply = "expected";
    await this.#redis.callBuffer(xreadCommand(), ...args);
    return this.#takeReply();
  }

  #takeReply(): readonly StreamRequests[] {
    const isRead = this.#reply === "read";
    this.#reply = "none";
    return isRead ? this.#decoder.take() : [];
  }

  #decode(bytes: Buffer, pass: (bytes: Buffer) => void): void {
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
