/**
 * Ingestion's client of vstore. It is a client like any other, so that every limit of the module holds for it, and an
 * answer means what it means to any client. A blocking command keeps its connection waiting, hence one connection for
 * each job under way. It waits out refusals that pass (a full log, a full disk, a Redis that loads) and tries again:
 * its commands are idempotent.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Logger } from "../../log.ts";
import { connect } from "../redis/connection.ts";
import { codeOf } from "../redis/error-code.ts";

/**
 * Refusals that say nothing about the request: the module's own, and those of a Redis that cannot write at the moment.
 */
const passingCodes = new Set([
  ...["BUSY", "FULL", "VSTOREDOWN", "TRYAGAIN", "TIMEOUT", "UNBLOCKED"],
  ...["OOM", "LOADING", "MISCONF", "READONLY", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN"],
]);
const pauseMsMin = 50;
const pauseMsMax = 2_000;
/** Between two lines in the log about the same trouble. */
const reportEveryMs = 10_000;

/** The request itself was refused, and would be again. */
export class RefusedError extends Error {}

export type Argument = string | number | Buffer;

export class IngestClient {
  readonly #url: string;
  readonly #log: Logger;
  readonly #stop: AbortSignal;
  readonly #idle: Redis[] = [];
  #reportedAt = Number.NEGATIVE_INFINITY;

  /** @param stop ends every wait for better times */
  constructor(url: string, log: Logger, stop: AbortSignal) {
    this.#url = url;
    this.#log = log;
    this.#stop = stop;
  }

  /** @throws {RefusedError} with the answer's words; AbortError once `stop` was aborted */
  async call(command: string, ...args: Argument[]): Promise<unknown> {
    for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(2 * pauseMs, pauseMsMax)) {
      try {
        return await this.#callOnce(command, args);
      } catch (error) {
        if (!passes(error as Error)) throw new RefusedError((error as Error).message);
        this.#report(error as Error);
      }
      await delay(pauseMs, undefined, { signal: this.#stop });
    }
  }

  async #callOnce(command: string, args: readonly Argument[]): Promise<unknown> {
    const redis = this.#idle.pop() ?? (await this.#connect());
    try {
      return await redis.call(command, ...args);
    } finally {
      if (redis.status === "ready") this.#idle.push(redis);
      else redis.disconnect();
    }
  }

  /** Without a timeout of its own: the module always answers, after vstore.timeout at the latest. */
  async #connect(): Promise<Redis> {
    try {
      return await connect(this.#url, "vstore-ingest", { socketTimeout: undefined });
    } catch (error) {
      // Redis may answer here too, for instance that it has too many clients, and that passes as well.
      throw new Error((error as Error).message);
    }
  }

  #report({ message }: Error): void {
    const now = performance.now();
    if (now - this.#reportedAt < reportEveryMs) return;
    this.#reportedAt = now;
    this.#log.warn({ reason: message }, "ingestion waits");
  }
}

/** An error without a code is a lost connection. */
function passes(error: Error): boolean {
  const code = codeOf(error);
  return code === undefined || passingCodes.has(code);
}
