/** The base of the generated methods of commands.ts: it sends words and reads the reply. */
import { type Connection, type Reply, type Send, sendOver, type Word } from "./connection.ts";
import { fromReply } from "./errors.ts";
import type { CallOptions } from "./words.ts";

export type Attributes = Record<string, unknown>;
/** The attributes of each collection, by the collection's name. */
export type Schemas<S> = { [C in keyof S]: object };
/** Collections that have a schema. */
export type Name<S> = keyof S & string;

export abstract class Base {
  readonly #send: Send;

  constructor(redis: Connection) {
    this.#send = sendOver(redis);
  }

  /** Sends one command. @param words its name without the prefix, and its arguments */
  protected call<T>(
    [name, ...words]: readonly [string, ...Word[]],
    { signal }: CallOptions,
    read: (reply: Reply) => T,
  ): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const reply = this.#send([`VSTORE.${name}`, ...words]).then(read, raise);
    return signal === undefined ? reply : untilAborted(reply, signal);
  }
}

function raise(error: unknown): never {
  throw fromReply(error);
}

/** The promise's outcome, or the signal's reason when that comes first. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
