/**
 * A connection to one node, for one request at a time: the module blocks a connection until its request is answered, so
 * a second one behind it would wait for the first. ioredis opens it and sends most requests. Plain searches, of which
 * there are many, pass by ioredis: bytes go to the socket as they are, and those of the reply come back as they are.
 */
import { type Redis, ReplyError } from "ioredis";
import { closedMessage, connect } from "../../redis/connection.ts";
import { decodeBefore, joinLargeValues } from "../../redis/large-values.ts";
import { ReplyReader } from "./reply-reader.ts";

export type Word = string | Buffer | number;

const MINUS = "-".charCodeAt(0);

interface Exchange {
  readonly reader: ReplyReader;
  readonly resolve: (reply: Buffer) => void;
  readonly reject: (error: Error) => void;
}

export class NodeConnection {
  readonly #redis: Redis;
  /** Of the request that passes by ioredis. */
  #exchange: Exchange | undefined;

  private constructor(redis: Redis, closed: () => void) {
    this.#redis = redis;
    joinLargeValues(redis);
    decodeBefore(
      redis,
      (pass) => (bytes) => (this.#exchange === undefined ? pass(bytes) : this.#read(bytes)),
    );
    redis.once("close", () => {
      this.#end(new Error(closedMessage));
      closed();
    });
  }

  /** @param extra how long it may be silent, where that is longer than usual. @param closed called when it is over */
  static async open(
    url: string,
    extra: { readonly socketTimeout?: number },
    closed: () => void,
  ): Promise<NodeConnection> {
    return new NodeConnection(await connect(url, "vstore-shards", extra), closed);
  }

  /** Resolves to the reply as RESP2, with texts as bytes. */
  ask(command: string, words: readonly Word[]): Promise<unknown> {
    return this.#redis.callBuffer(command, ...(words as (string | Buffer)[]));
  }

  /** Resolves to the bytes of the reply. @param request an encoded command */
  exchange(request: Buffer): Promise<Buffer> {
    if (this.#redis.status !== "ready") return Promise.reject(new Error(closedMessage));
    return new Promise((resolve, reject) => {
      this.#exchange = { reader: new ReplyReader(), resolve, reject };
      this.#redis.stream.write(request);
    });
  }

  close(): void {
    this.#redis.disconnect();
  }

  #read(bytes: Buffer): void {
    const { reader, resolve, reject } = this.#exchange!;
    const reply = reader.write(bytes);
    if (reply === undefined) return;
    this.#exchange = undefined;
    if (reply[0] === MINUS) reject(new ReplyError(reply.toString("utf8", 1).trimEnd()));
    else resolve(reply);
  }

  #end(error: Error): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.reject(error);
  }
}
