/**
 * The read loop: takes a batch of requests, applies its writes, starts its reads, and sends the answers that are ready
 * before it reads more. Order within a batch: logs, then writes to control, then reads, so that a client that wrote
 * first and asked then sees its write.
 */
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import type { Context } from "../../commands/command.ts";
import { execute } from "../../commands/execute.ts";
import { commands } from "../../commands/registry.ts";
import type { Collection } from "../../engine/collection.ts";
import { TimeSlice } from "../../engine/time-slice.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type Answers, refusal } from "./answers.ts";
import { pollBusily } from "./busy-poll.ts";
import type { Control } from "./control.ts";
import type { Outbox } from "./outbox.ts";
import type { Delivery, Reader } from "./reader.ts";
import type { AsOfWaits } from "./reads/as-of-waits.ts";
import { Budget } from "./reads/budget.ts";
import { Limiter } from "./reads/limiter.ts";
import { ReadQueue } from "./reads/read-queue.ts";
import type { Request } from "./request.ts";
import { faultOf, isWrite } from "./routing.ts";
import type { Source } from "./sources.ts";
import type { Writes } from "./writes.ts";

/** A read that has waited for so long may have lost its client. */
const staleMs = 100;
/**
 * BUILD WAIT, CHECKPOINT and WAIT under way. They take no places of the reads, as they wait for minutes. One more is
 * refused, so that no other request waits for it.
 */
const waitsMax = 1_024;
/** Bytes of large answers that are being built, or that Redis has not taken yet; others wait meanwhile. */
const answerBytesTotalMax = 2 * limits.answerBytesMax;
/** After this time everything else that waits for the event loop gets its turn. */
const turnMsMax = 10;
/** While a batch of this size is served, Redis may as well prepare the next one. */
const readAheadBytesMin = 64 * 1024;

/**
 * How long entries without a waiting client (of followed keys, of transactions) may gather. Waking for each of them
 * would take the processor from the clients that write them.
 */
const gatherMs = 1;

export interface LoopParts {
  readonly reader: Reader;
  readonly writes: Writes;
  readonly control: Control;
  readonly answers: Answers;
  readonly outbox: Outbox;
  readonly asOfWaits: AsOfWaits;
  /** How long to poll for the next batch after one with an answered client. */
  readonly busyPollUs: number;
  /** Throws when another sidecar may be serving by now. */
  readonly assertLeader: () => void;
  /** Called when collections came or went. */
  readonly onCatalogChange: () => void;
  readonly context: (request: Request, answerRoom?: Context["answerRoom"]) => Context;
  /** Whether the entry of a request is still there: the module deletes that of a client that has left. */
  readonly isWanted: (request: Request) => Promise<boolean>;
}

export class Loop {
  readonly #parts: LoopParts;
  readonly #reads = new ReadQueue();
  readonly #waits = new Limiter(waitsMax);
  readonly #answerBytes = new Budget(answerBytesTotalMax);
  #isRunning = false;
  /** Requests are left to the next leader. */
  #isHalted = false;
  #replays = true;

  constructor(parts: LoopParts) {
    this.#parts = parts;
  }

  /** Applies an entry that no read will bring; see logs/strays.ts. */
  async applyStray(collection: Collection, request: Request): Promise<void> {
    await this.#parts.writes.applyStray(collection, request);
  }

  /**
   * Serves everything that is in the streams now.
   *
   * @param msMax after which the rest may wait: clients that are answered send more
   */
  async catchUp(msMax = Number.POSITIVE_INFINITY): Promise<void> {
    await this.#serve(performance.now() + msMax);
  }

  /**
   * Serves until `stop`, and then the requests that are still there. Rejects when the session ends, never within a
   * batch.
   */
  async run(): Promise<void> {
    this.#isRunning = true;
    this.#replays = false;
    await this.#serve();
  }

  /** Resolves when no read is under way. */
  async idle(): Promise<void> {
    await this.#parts.asOfWaits.idle(); // first, as those that have waited become reads
    await Promise.all([this.#reads.idle(), this.#waits.idle()]);
  }

  /** Reads that have not begun are left to the next session, whose streams have them still. */
  forgetReads(): void {
    this.#parts.asOfWaits.forget();
    this.#reads.forget();
  }

  /** A read that waits already has to be woken by the caller. */
  stop(): void {
    this.#isRunning = false;
  }

  /** Ends after the batch that is served now, and leaves what is still there. */
  halt(): void {
    this.#isHalted = true;
    this.#isRunning = false;
    this.#parts.reader.wake();
  }

  async #serve(until = Number.POSITIVE_INFINITY): Promise<void> {
    let [next, waits] = [this.#read(), this.#isRunning];
    for (;;) {
      const batch = await next;
      // A read that was woken does not tell whether there is more.
      if (this.#isHalted || (batch.length === 0 && !waits)) return;
      waits = this.#isRunning;
      const changesSources = batch.some(hasControlWrite);
      const ahead = isLarge(batch) && !changesSources ? this.#read() : undefined;
      if (ahead === undefined && !changesSources) this.#parts.outbox.goAhead(this.#parts.reader.free);
      await this.#serveBatch(batch);
      if (changesSources) this.#parts.onCatalogChange();
      // The answers leave at the end of this turn. An XREAD after them keeps none of them waiting, and finds what
      // the answered clients send next together, instead of the first of it alone.
      const isAwaited = !batch.every(wantsNoAnswer);
      if (ahead === undefined) await (batch.length > 0 && !isAwaited ? delay(gatherMs) : nextTurn());
      if (ahead === undefined && performance.now() > until) return;
      next = ahead ?? this.#read();
      if (isAwaited) pollBusily(next, this.#parts.busyPollUs);
    }
  }

  #read(): Promise<readonly Delivery[]> {
    const batch = this.#parts.reader.read(this.#isRunning);
    // The code that awaits it hears of the failure; until then it must not count as unhandled.
    batch.catch(() => {});
    return batch;
  }

  async #serveBatch(batch: readonly Delivery[]): Promise<void> {
    await this.#parts.outbox.room();
    this.#parts.assertLeader();
    const { writes, control } = this.#parts;
    const logs = batch.filter(({ source }) => source.kind === "log");
    const slice = new TimeSlice(turnMsMax);
    await Promise.all(logs.map((each) => writes.apply(each, this.#replays, slice)));
    await control.restoreLogs();
    for (const { source, requests } of batch) {
      if (source.kind === "control") await control.apply(source, requests.filter(isWrite));
    }
    this.#parts.asOfWaits.recheck();
    for (const { source, request } of inTurn(batch)) {
      if (source.kind === "log" || (source.kind === "control" && isWrite(request))) continue;
      if (source.kind === "control") await control.restoreLog(request.collection);
      this.#startRead(source, request);
      if (slice.spent) await slice.pause();
    }
  }

  #startRead(source: Source, request: Request): void {
    const { answers, asOfWaits } = this.#parts;
    if (commands.get(request.name)?.long === true) {
      const run = () => this.#answerRead(source, request, 0);
      if (!this.#waits.tryStart(run)) answers.toPassing(request, refusal(tooManyWaits()));
      return;
    }
    try {
      const offer = (waitedMs: number) => this.#offerRead(source, request, waitedMs);
      if (!asOfWaits.hold(request, offer)) offer(0);
    } catch (error) {
      answers.toPassing(request, refusal(error as VstoreError));
    }
  }

  /** @param waitedMs before, for the token of its ASOF */
  #offerRead(source: Source, request: Request, waitedMs: number): void {
    const { collection, user, caller, bytes } = request;
    const run = (ms: number) => this.#answerRead(source, request, waitedMs + ms);
    if (!this.#reads.offer({ collection, user, caller, bytes, run }))
      this.#parts.answers.toPassing(request, refusal(tooManyReads(collection)));
  }

  async #answerRead(source: Source, request: Request, waitedMs: number): Promise<void> {
    const { answers, context, outbox } = this.#parts;
    const fault = faultOf(source, request);
    if (fault !== undefined) return answers.toPassing(request, refusal(new VstoreError("ERR", fault)));
    if (waitedMs >= staleMs && !(await this.#isStillWanted(request)))
      return answers.toPassing(request, refusal(notWanted()));
    const room = this.#answerBytes.claim();
    const answerRoom = async (bytes: number) => {
      if ((await room.take(bytes)) && !(await this.#isStillWanted(request))) throw notWanted();
    };
    answers.toPassing(request, await execute(context(request, answerRoom), request.name, request.args));
    if (room.taken === 0) return;
    await outbox.flushed();
    room.giveBack();
  }

  /** Where Redis does not say, it is. */
  async #isStillWanted(request: Request): Promise<boolean> {
    if (request.waiter.kind !== "client") return true;
    return this.#parts.isWanted(request).catch(() => true);
  }
}

/** One of each collection in turn, so that many requests of one do not keep those of another waiting. */
function inTurn(batch: readonly Delivery[]): { source: Source; request: Request }[] {
  const queues = new Map<string, { source: Source; request: Request }[]>();
  for (const { source, requests } of batch) {
    for (const request of requests) {
      const queue = queues.get(request.collection);
      if (queue === undefined) queues.set(request.collection, [{ source, request }]);
      else queue.push({ source, request });
    }
  }
  const [first] = queues.values();
  if (first === undefined || queues.size === 1) return first ?? [];
  const rounds = Math.max(...[...queues.values()].map(({ length }) => length));
  const all = [...queues.values()];
  return Array.from({ length: rounds }, (_, i) => all.flatMap((queue) => queue[i] ?? [])).flat();
}

function tooManyReads(collection: string): VstoreError {
  return new VstoreError("TRYAGAIN", `too many reads of collection '${collection}' wait already`);
}

function tooManyWaits(): VstoreError {
  return new VstoreError("TRYAGAIN", `${waitsMax} BUILD WAIT and CHECKPOINT are under way already`);
}

/** No client reads it. */
function notWanted(): VstoreError {
  return new VstoreError("TRYAGAIN", "the client has gone");
}

function wantsNoAnswer({ requests }: Delivery): boolean {
  return requests.every(({ waiter }) => waiter.kind === "none");
}

/** CREATE and DROP change the set of streams to read: the next read has to wait for them. */
function hasControlWrite({ source, requests }: Delivery): boolean {
  return source.kind === "control" && requests.some(isWrite);
}

function isLarge(batch: readonly Delivery[]): boolean {
  const sizes = batch.flatMap(({ requests }) => requests.map(({ bytes }) => bytes));
  return sizes.reduce((sum, bytes) => sum + bytes, 0) >= readAheadBytesMin;
}
