/**
 * A client that writes without pause over a connection of its own, one command at a time, and tells the oracle what was
 * acknowledged and what is in doubt. After a doubt it pauses until the oracle has settled it.
 */
import { Redis } from "ioredis";
import type { Oracle, Write } from "./oracle.ts";
import type { Workload } from "./workload.ts";

/** The command was not taken: nothing was appended to a log. */
const NOT_TAKEN = /^(VSTOREDOWN|LOADING|BUSY)/;
/** The command was sent, and its fate is unknown. */
const IN_DOUBT = /^(TIMEOUT|UNBLOCKED)|connection (is|was) closed|ECONNRESET|EPIPE/i;
/** The sidecar removes their entry when they are done, and may die before it has answered. No log loses any here. */
const MAY_BE_LOST = /^VSTORE\.(CREATE|DROP)$/;

export class Client {
  readonly #url: string;
  readonly #workload: Workload;
  readonly #oracle: Oracle;
  #redis: Redis | undefined;
  #connectionId: number | undefined;
  #stopped = true;
  #work: Promise<void> = Promise.resolve();
  #isIdle = true;

  constructor(url: string, workload: Workload, oracle: Oracle) {
    this.#url = url;
    this.#workload = workload;
    this.#oracle = oracle;
  }

  /** True when no answer is outstanding. */
  get isIdle(): boolean {
    return this.#isIdle;
  }

  /** By which CLIENT UNBLOCK knows the connection. */
  get connectionId(): number | undefined {
    return this.#connectionId;
  }

  start(): void {
    this.#stopped = false;
    this.#isIdle = false;
    this.#work = this.#run().finally(() => {
      this.#isIdle = true;
    });
    this.#work.catch(() => {}); // `settled` reports it
  }

  /** Nothing more is sent; an answer may be outstanding still. */
  stop(): void {
    this.#stopped = true;
  }

  /** @throws Error when an answer was wrong */
  settled(): Promise<void> {
    return this.#work;
  }

  close(): void {
    this.#redis?.disconnect();
  }

  async #run(): Promise<void> {
    if (!(await this.#connect())) return;
    while (!this.#stopped) {
      if ((await this.#send(this.#workload.next())) === "pause") return;
    }
  }

  async #connect(): Promise<boolean> {
    if (this.#redis?.status === "ready") return true;
    this.#redis?.disconnect();
    this.#redis = connectOnce(this.#url);
    try {
      this.#connectionId = await this.#redis.client("ID");
      return true;
    } catch {
      return false; // Redis died meanwhile; nothing was written
    }
  }

  async #send(write: Write): Promise<"go on" | "pause"> {
    const [command, ...args] = write.command;
    let answer: unknown;
    try {
      answer = await this.#redis!.call(command, ...args);
    } catch (error) {
      return this.#failed(write, error as Error);
    }
    if (!isRight(answer, write)) throw wrongAnswer(write, answer);
    this.#oracle.acknowledge(write);
    return "go on";
  }

  #failed(write: Write, { message }: Error): "go on" | "pause" {
    if (NOT_TAKEN.test(message)) return "pause";
    const isLost = message.startsWith("LOST ") && MAY_BE_LOST.test(String(write.command[0]));
    if (isLost || IN_DOUBT.test(message)) {
      this.#oracle.doubt(write);
      return "pause";
    }
    if (write.answer !== undefined) throw wrongAnswer(write, message);
    this.#oracle.counts.refused++;
    return "go on";
  }
}

function isRight(answer: unknown, { answer: right }: Write): boolean {
  return right instanceof RegExp ? right.test(String(answer)) : answer === right;
}

/** A connection that is not renewed and sends nothing twice. */
export function connectOnce(url: string): Redis {
  const redis = new Redis(url, {
    protocol: 2,
    retryStrategy: () => null,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
  });
  redis.on("error", () => {});
  return redis;
}

function wrongAnswer(write: Write, answer: unknown): Error {
  const text = write.command
    .map((part) => (Buffer.isBuffer(part) ? `<${part.length} bytes>` : part))
    .join(" ");
  return new Error(
    `wrong answer: ${text.slice(0, 200)} answered ${answer}, expected ${write.answer ?? "an error"}`,
  );
}
