/**
 * The read loop: takes a batch of requests, applies its writes, starts its reads, and sends the answers that are ready
 * before it reads more. Order within a batch: logs, then writes to control, then reads, so that a client that wrote
 * first and asked then sees its write.
 */
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import type { Collection } from "../../engine/collection.ts";
import { TimeSlice, TURN_MS_MAX } from "../../engine/time-slice.ts";
import type { Sharding } from "../shards/sharding.ts";
import { pollBusily } from "./busy-poll.ts";
import type { Control } from "./control.ts";
import type { Outbox } from "./outbox.ts";
import type { Delivery, Reader } from "./reader.ts";
import type { Reads } from "./reads/reads.ts";
import type { Request } from "./request.ts";
import { faultOf, isLong, isWrite } from "./routing.ts";
import type { Source } from "./sources.ts";
import type { Writes } from "./writes.ts";

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
  readonly reads: Reads;
  /** On a node of a cluster. */
  readonly sharding: Sharding | undefined;
  readonly outbox: Outbox;
  /** How long to poll for the next batch after one with an answered client. */
  readonly busyPollUs: number;
  /** Whether the module holds the answers to writes until followers have applied them. */
  readonly isAcknowledged: boolean;
  /** Throws when another sidecar may be serving by now. */
  readonly assertLeader: () => void;
  /** Called when collections came or went. */
  readonly onCatalogChange: () => void;
}

export class Loop {
  readonly #parts: LoopParts;
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
  idle(): Promise<void> {
    return Promise.all([this.#parts.reads.idle(), this.#parts.sharding?.shards.idle()]).then(() => {});
  }

  /** Reads that have not begun are left to the next session, whose streams have them still. */
  forgetReads(): void {
    this.#parts.reads.forget();
    this.#parts.sharding?.shards.forget();
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
      const goesAhead = ahead === undefined && !changesSources;
      // One that waits alone is answered sooner by itself: Redis wakes its client while the next XREAD is prepared.
      this.#parts.outbox.goAhead(goesAhead ? this.#parts.reader.free : undefined, isOfSeveral(batch));
      await this.#serveBatch(batch);
      if (changesSources) this.#parts.onCatalogChange();
      // The answers leave at the end of this turn. An XREAD after them keeps none of them waiting, and finds what
      // the answered clients send next together, instead of the first of it alone.
      const isAwaited = !batch.every(wantsNoAnswer);
      if (ahead === undefined) await (batch.length > 0 && !isAwaited ? delay(gatherMs) : nextTurn());
      if (ahead === undefined && performance.now() > until) return;
      next = ahead ?? this.#read();
      if (batch.some((each) => this.#isAnsweredNow(each))) pollBusily(next, this.#parts.busyPollUs);
    }
  }

  /** A client whose answer waits for followers sends nothing soon. */
  #isAnsweredNow(delivery: Delivery): boolean {
    return !(this.#parts.isAcknowledged && delivery.source.kind === "log") && !wantsNoAnswer(delivery);
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
    const { writes, control, reads, sharding } = this.#parts;
    const logs = batch.filter(({ source }) => source.kind === "log");
    const slice = new TimeSlice(TURN_MS_MAX);
    await Promise.all(logs.map((each) => writes.apply(each, this.#replays, slice)));
    await control.restoreLogs();
    if (!this.#replays) sharding?.resume();
    for (const { source, requests } of batch) {
      if (source.kind !== "control") continue;
      const isDueHere = (each: Request) => isWrite(each) && !sharding?.making.take(each, this.#replays);
      await control.apply(source, requests.filter(isDueHere));
    }
    reads.recheck();
    for (const { source, request } of inTurn(batch)) {
      if (source.kind === "log" || (source.kind === "control" && isWrite(request))) continue;
      if (source.kind === "control") await control.restoreLog(request.collection);
      if (isLong(request)) await slice.beforeLongStep();
      if (sharding?.shards.take(source, request, this.#replays)) continue;
      reads.start(request, faultOf(source, request));
      if (slice.spent) await slice.pause();
    }
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

function isOfSeveral(batch: readonly Delivery[]): boolean {
  return batch.length > 1 || (batch[0]?.requests.length ?? 0) > 1;
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
