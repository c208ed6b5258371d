/**
 * The read loop: takes a batch of requests, applies its writes, starts its reads, and has the next XREAD under
 * way meanwhile. Order within a batch: logs, then writes to control, then everything that only asks, so that
 * who wrote first and asked then sees the write.
 */
import type { Context } from "../commands/command.ts";
import { execute } from "../commands/execute.ts";
import { VstoreError } from "../errors.ts";
import { type Answers, refusal } from "./answers.ts";
import type { Control } from "./control.ts";
import type { Request } from "./frame.ts";
import { Limiter } from "./limiter.ts";
import type { Outbox } from "./outbox.ts";
import type { Delivery, Reader } from "./reader.ts";
import { faultOf, isWrite, namedCollection } from "./routing.ts";
import type { Source } from "./sources.ts";
import type { Writes } from "./writes.ts";

/** Reads that run at the same time; above it the loop waits before it takes more requests. */
const readsMax = 1_024;

export interface LoopParts {
  readonly reader: Reader;
  readonly writes: Writes;
  readonly control: Control;
  readonly answers: Answers;
  readonly outbox: Outbox;
  /** Called when collections came or went. */
  readonly onCatalogChange: () => void;
  readonly context: (request: Request) => Context;
}

export class Loop {
  readonly #parts: LoopParts;
  readonly #reads = new Limiter(readsMax);
  #waits = false;

  constructor(parts: LoopParts) {
    this.#parts = parts;
  }

  /** Serves everything that is in the streams now. */
  async catchUp(): Promise<void> {
    await this.#serve();
  }

  /** Serves until `stop`, and then what is there still. Rejects when the session ends, never within a batch. */
  async run(): Promise<void> {
    this.#waits = true;
    await this.#serve();
  }

  /** Resolves when no read is under way. */
  async idle(): Promise<void> {
    await this.#reads.idle();
  }

  /** A read that waits already has to be woken by the caller. */
  stop(): void {
    this.#waits = false;
  }

  async #serve(): Promise<void> {
    let next = this.#read();
    for (;;) {
      const batch = await next;
      if (batch.length === 0 && !this.#waits) return;
      // CREATE and DROP change the set of streams to read: only then the next read has to wait for the batch.
      const changesSources = batch.some(
        ({ source, requests }) => source.kind === "control" && requests.some(isWrite),
      );
      if (!changesSources) next = this.#read();
      await this.#serveBatch(batch);
      if (changesSources) {
        this.#parts.onCatalogChange();
        next = this.#read();
      }
    }
  }

  #read(): Promise<Delivery[]> {
    const batch = this.#parts.reader.read(this.#waits);
    // Whoever awaits it hears of the failure; until somebody does, it must not count as unhandled.
    batch.catch(() => {});
    return batch;
  }

  async #serveBatch(batch: readonly Delivery[]): Promise<void> {
    await this.#parts.outbox.room();
    const { writes, control } = this.#parts;
    await Promise.all(batch.filter(({ source }) => source.kind === "log").map((each) => writes.apply(each)));
    const rest = batch.flatMap(({ source, requests }) => requests.map((request) => ({ source, request })));
    for (const { source, request } of rest) {
      if (source.kind === "control" && isWrite(request)) await control.apply(request);
    }
    for (const { source, request } of rest) {
      if (source.kind === "log" || (source.kind === "control" && isWrite(request))) continue;
      if (source.kind === "control") await control.restoreLog(namedCollection(request));
      await this.#reads.start(() => this.#answerRead(source, request));
    }
  }

  async #answerRead(source: Source, request: Request): Promise<void> {
    const { answers, context } = this.#parts;
    const fault = faultOf(source, request);
    const outcome =
      fault === undefined
        ? await execute(context(request), request.name, request.args)
        : refusal(new VstoreError("ERR", fault));
    answers.toPassing(request, outcome);
  }
}
