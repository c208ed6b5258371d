/**
 * One node of the cluster, for requests about the parts that it has: an ordinary client, with the user of the sidecar's
 * URL. A request takes a connection of its own, and others wait when all are taken. Nothing is sent twice, as a write
 * may have been applied.
 */
import { ReplyError } from "ioredis";
import { NodeConnection, type Word } from "./connection.ts";

/** Requests to one node that it has not answered, also those for which nothing waits any more; and their bytes. */
const unansweredMax = 4_096;
const unansweredBytesMax = 256 * 1024 * 1024;
/** Each has one request under way. A new one is opened where a request would wait for all others. */
const connectionsMax = 16;

/** The node did not answer. */
export class NoAnswer extends Error {
  /** Whether it may have the request. */
  readonly isSent: boolean;
  constructor(reason: string, isSent: boolean) {
    super(reason);
    this.isSent = isSent;
  }
}
/** More would be under way than may be; nothing was sent. */
export class TooMany extends Error {}

/** A request without a connection. */
interface Waiting {
  /** Sends it; false where nothing waits for its answer any more. */
  take(connection: NodeConnection): boolean;
  fail(error: Error): void;
}

export class Node {
  readonly #url: string;
  readonly #extra: { readonly socketTimeout?: number };
  readonly #connections = new Set<NodeConnection>();
  /** Those without a request; the one used last comes first, so that the others may stay idle. */
  #free: NodeConnection[] = [];
  #opening = 0;
  #isClosed = false;
  #waiting: Waiting[] = [];
  #unanswered = 0;
  #unansweredBytes = 0;

  /** @param extra how long a connection may be silent, where that is longer than usual */
  constructor(url: string, extra: { readonly socketTimeout?: number } = {}) {
    this.#url = url;
    this.#extra = extra;
  }

  /**
   * Resolves to the reply as RESP2, with texts as bytes.
   *
   * @throws NoAnswer, TooMany, or the node's error
   */
  ask(command: string, words: readonly Word[], timeMs: number): Promise<unknown> {
    const bytes = words.reduce<number>((sum, word) => sum + (typeof word === "number" ? 8 : word.length), 0);
    return this.#begin(bytes, timeMs, (connection) => connection.ask(command, words));
  }

  /**
   * The same as bytes to bytes, for reads with short replies: a connection that is late is closed.
   *
   * @param request an encoded command
   */
  exchange(request: Buffer, timeMs: number): Promise<Buffer> {
    return this.#begin(request.length, timeMs, (connection) => connection.exchange(request), true);
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of this.#connections) connection.close();
    this.#failAll(new NoAnswer("the sidecar ends", false));
  }

  #begin<T>(
    bytes: number,
    timeMs: number,
    send: (connection: NodeConnection) => Promise<T>,
    closesWhenLate = false,
  ): Promise<T> {
    const isFull = this.#unanswered >= unansweredMax || this.#unansweredBytes + bytes > unansweredBytesMax;
    if (isFull && this.#unanswered > 0)
      return Promise.reject(new TooMany(`${this.#unanswered} requests to that node are not answered yet`));
    this.#count(1, bytes);
    return new Promise((resolve, reject) => {
      let isLate = false;
      let sentOn: NodeConnection | undefined;
      const timer = setTimeout(() => {
        isLate = true;
        reject(new NoAnswer(`no answer within ${timeMs} ms`, sentOn !== undefined));
        if (closesWhenLate) sentOn?.close();
      }, timeMs);
      const settle = () => {
        clearTimeout(timer);
        this.#count(-1, -bytes);
        if (sentOn !== undefined) this.#hasFree(sentOn);
      };
      const fail = (error: Error) => {
        settle();
        reject(error);
      };
      const answered = (reply: T) => {
        settle();
        resolve(reply);
      };
      const refused = (error: Error) =>
        fail(error instanceof ReplyError ? error : new NoAnswer("the connection was lost", true));
      const take = (connection: NodeConnection) => {
        if (!isLate) sentOn = connection;
        if (isLate) settle();
        else send(connection).then(answered, refused);
        return !isLate;
      };
      this.#waiting.push({ take, fail });
      this.#sendOn();
    });
  }

  #count(requests: number, bytes: number): void {
    this.#unanswered += requests;
    this.#unansweredBytes += bytes;
  }

  #hasFree(connection: NodeConnection): void {
    if (!this.#connections.has(connection)) return;
    this.#free.push(connection);
    this.#sendOn();
  }

  /** Gives what waits to the connections that are free, and opens one more where there are too few. */
  #sendOn(): void {
    while (this.#waiting.length > 0) {
      const connection = this.#free.pop();
      if (connection === undefined) break;
      if (!this.#waiting.shift()!.take(connection)) this.#free.push(connection);
    }
    const isNeeded = this.#waiting.length > this.#opening && !this.#isClosed;
    if (isNeeded && this.#connections.size + this.#opening < connectionsMax) void this.#open();
  }

  async #open(): Promise<void> {
    this.#opening++;
    const closed = () => {
      this.#connections.delete(connection);
      this.#free = this.#free.filter((each) => each !== connection);
      this.#sendOn();
    };
    const opened = NodeConnection.open(this.#url, this.#extra, closed);
    const error = await opened.then(
      () => undefined,
      (reason: Error) => reason,
    );
    this.#opening--;
    if (error !== undefined) {
      // Those that are there still answer.
      if (this.#connections.size === 0) this.#failAll(new NoAnswer(`no connection: ${error.message}`, false));
      return;
    }
    const connection = await opened;
    if (this.#isClosed) return connection.close();
    this.#connections.add(connection);
    this.#hasFree(connection);
  }

  #failAll(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { fail } of waiting) fail(error);
  }
}
