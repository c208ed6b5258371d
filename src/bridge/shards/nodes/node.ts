/**
 * One node of the cluster, for requests about the parts that it has: an ordinary client, with the user of the sidecar's
 * URL. Requests leave in the order in which they come, also while it connects, so that a pipelined write is there when
 * a search behind it arrives. Nothing is sent twice, as a write may have been applied.
 */
import { type Redis, ReplyError } from "ioredis";
import { connect } from "../../redis/connection.ts";
import { joinLargeValues } from "../../redis/large-values.ts";

export type Word = string | Buffer | number;

/** Requests to one node that it has not answered, also those for which nothing waits any more; and their bytes. */
const unansweredMax = 4_096;
const unansweredBytesMax = 256 * 1024 * 1024;

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

export class Node {
  readonly #url: string;
  readonly #extra: { readonly socketTimeout?: number };
  #redis: Redis | undefined;
  #isConnecting = false;
  #isClosed = false;
  #isGathering = false;
  /** Requests until it is connected. */
  #waiting: { readonly send: (redis: Redis) => void; readonly fail: (error: Error) => void }[] = [];
  #unanswered = 0;
  #unansweredBytes = 0;

  /** @param extra how long the connection may be silent, where that is longer than usual */
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
    const isFull = this.#unanswered >= unansweredMax || this.#unansweredBytes + bytes > unansweredBytesMax;
    if (isFull && this.#unanswered > 0)
      return Promise.reject(new TooMany(`${this.#unanswered} requests to that node are not answered yet`));
    this.#count(1, bytes);
    return new Promise((resolve, reject) => {
      let [isLate, isSent] = [false, false];
      const timer = setTimeout(() => {
        isLate = true;
        reject(new NoAnswer(`no answer within ${timeMs} ms`, isSent));
      }, timeMs);
      const settle = () => {
        clearTimeout(timer);
        this.#count(-1, -bytes);
      };
      const fail = (error: Error) => {
        settle();
        reject(error);
      };
      const send = (redis: Redis) => {
        if (isLate) return settle();
        isSent = true;
        redis.callBuffer(command, ...(words as (string | Buffer)[])).then(
          (reply) => {
            settle();
            resolve(reply);
          },
          (error) =>
            fail(error instanceof ReplyError ? error : new NoAnswer("the connection was lost", true)),
        );
      };
      this.#send(send, fail);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#redis?.disconnect();
    this.#failAll(new NoAnswer("the sidecar ends", false));
  }

  #count(requests: number, bytes: number): void {
    this.#unanswered += requests;
    this.#unansweredBytes += bytes;
  }

  #send(send: (redis: Redis) => void, fail: (error: Error) => void): void {
    if (this.#redis !== undefined) {
      this.#gather(this.#redis);
      send(this.#redis);
      return;
    }
    this.#waiting.push({ send, fail });
    if (!this.#isConnecting) void this.#connect();
  }

  /** What is sent in one turn leaves in one write, which costs more than all else about a request. */
  #gather({ stream }: Redis): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    stream.cork();
    process.nextTick(() => {
      this.#isGathering = false;
      stream.uncork();
    });
  }

  async #connect(): Promise<void> {
    this.#isConnecting = true;
    try {
      const redis = await connect(this.#url, "vstore-shards", this.#extra);
      joinLargeValues(redis);
      redis.once("close", () => {
        if (this.#redis === redis) this.#redis = undefined;
      });
      if (this.#isClosed) redis.disconnect();
      this.#redis = redis;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const { send } of waiting) send(redis);
    } catch (error) {
      this.#failAll(new NoAnswer(`no connection: ${(error as Error).message}`, false));
    } finally {
      this.#isConnecting = false;
    }
  }

  #failAll(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { fail } of waiting) fail(error);
  }
}
