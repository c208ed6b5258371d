/**
 * Which reads run, and which wait for a place. So that no flood keeps other requests waiting, each collection and each
 * caller has a number of places, and free ones go to the collections in turn, and within a collection to its callers in
 * turn. A caller is a connection to Redis, or the reply stream of a stream client. No read keeps the loop from
 * taking more requests: where too many of one collection wait, further ones are refused.
 */
import { EventEmitter, once } from "node:events";
import { availableParallelism } from "node:os";

export interface ReadLimits {
  /** Reads that run at the same time: of all, of one collection, of one caller within a collection. */
  readonly runningMax: number;
  readonly runningOfCollectionMax: number;
  readonly runningOfCallerMax: number;
  /** Reads of one collection that wait, the bytes of their requests, and of those of all collections. */
  readonly waitingOfCollectionMax: number;
  readonly waitingBytesOfCollectionMax: number;
  readonly waitingBytesMax: number;
}

export const readLimits: ReadLimits = {
  runningMax: 1_024,
  runningOfCollectionMax: Math.max(64, 16 * availableParallelism()),
  runningOfCallerMax: 32,
  waitingOfCollectionMax: 16_384,
  waitingBytesOfCollectionMax: 64 * 1024 * 1024,
  waitingBytesMax: 256 * 1024 * 1024,
};

export interface Read {
  readonly collection: string;
  readonly caller: string;
  /** Of the request. */
  readonly bytes: number;
  /** Does the work; must not reject. @param waitedMs for a place */
  run(waitedMs: number): Promise<void>;
}

interface Waiting {
  readonly read: Read;
  readonly since: number;
}

interface Caller {
  running: number;
  readonly waiting: Waiting[];
}

interface Lane {
  running: number;
  waiting: number;
  waitingBytes: number;
  readonly callers: Map<string, Caller>;
  /** Those with reads that wait, the one whose turn is next first. */
  readonly inTurn: Set<string>;
}

export class ReadQueue {
  readonly #limits: ReadLimits;
  readonly #finished = new EventEmitter();
  readonly #lanes = new Map<string, Lane>();
  /** Collections with reads that wait, the one whose turn is next first. */
  readonly #inTurn = new Set<string>();
  #running = 0;
  #waitingBytes = 0;

  constructor(limits: ReadLimits = readLimits) {
    this.#limits = limits;
  }

  /** Callers that are remembered, of each collection. */
  get callers(): number {
    return [...this.#lanes.values()].reduce((sum, { callers }) => sum + callers.size, 0);
  }

  /** Starts the read, or has it wait for a place; false where too many of its collection wait. */
  offer(read: Read): boolean {
    const lane = this.#laneOf(read.collection);
    const caller = callerOf(lane, read.caller);
    if (caller.waiting.length === 0 && this.#hasPlace(lane, caller)) {
      this.#start(lane, caller, read, 0);
      return true;
    }
    if (lane.waiting > 0 && this.#isFull(lane, read.bytes)) {
      forgetIdle(lane, read.caller);
      return false;
    }
    caller.waiting.push({ read, since: performance.now() });
    lane.waiting++;
    lane.waitingBytes += read.bytes;
    this.#waitingBytes += read.bytes;
    lane.inTurn.add(read.caller);
    this.#inTurn.add(read.collection);
    return true;
  }

  /** Resolves when no read runs or waits. */
  async idle(): Promise<void> {
    while (this.#running > 0) await once(this.#finished, "one");
  }

  /** Those that wait are never run. */
  forget(): void {
    this.#inTurn.clear();
    this.#waitingBytes = 0;
    for (const lane of this.#lanes.values()) {
      for (const caller of lane.callers.values()) caller.waiting.length = 0;
      lane.inTurn.clear();
      lane.waiting = 0;
      lane.waitingBytes = 0;
    }
  }

  #laneOf(collection: string): Lane {
    const lane = this.#lanes.get(collection) ?? newLane();
    this.#lanes.set(collection, lane);
    return lane;
  }

  #hasPlace(lane: Lane, caller: Caller): boolean {
    const { runningMax, runningOfCollectionMax, runningOfCallerMax } = this.#limits;
    return (
      this.#running < runningMax &&
      lane.running < runningOfCollectionMax &&
      caller.running < runningOfCallerMax
    );
  }

  #isFull(lane: Lane, bytes: number): boolean {
    const { waitingOfCollectionMax, waitingBytesOfCollectionMax, waitingBytesMax } = this.#limits;
    return (
      lane.waiting >= waitingOfCollectionMax ||
      lane.waitingBytes + bytes > waitingBytesOfCollectionMax ||
      this.#waitingBytes + bytes > waitingBytesMax
    );
  }

  #start(lane: Lane, caller: Caller, read: Read, waitedMs: number): void {
    this.#running++;
    lane.running++;
    caller.running++;
    void read.run(waitedMs).then(() => {
      this.#running--;
      lane.running--;
      caller.running--;
      forgetIdle(lane, read.caller);
      if (lane.running === 0 && lane.waiting === 0) this.#lanes.delete(read.collection);
      while (this.#startNext());
      this.#finished.emit("one");
    });
  }

  /** Gives a free place to the collection whose turn is next; false where no read can start. */
  #startNext(): boolean {
    for (const collection of this.#inTurn) {
      const lane = this.#lanes.get(collection)!;
      for (const name of lane.inTurn) {
        const caller = lane.callers.get(name)!;
        if (!this.#hasPlace(lane, caller)) continue;
        const { read, since } = caller.waiting.shift()!;
        lane.waiting--;
        lane.waitingBytes -= read.bytes;
        this.#waitingBytes -= read.bytes;
        toTheEnd(lane.inTurn, name, caller.waiting.length > 0);
        toTheEnd(this.#inTurn, collection, lane.waiting > 0);
        this.#start(lane, caller, read, performance.now() - since);
        return true;
      }
    }
    return false;
  }
}

function newLane(): Lane {
  return { running: 0, waiting: 0, waitingBytes: 0, callers: new Map(), inTurn: new Set() };
}

function callerOf({ callers }: Lane, name: string): Caller {
  const caller = callers.get(name) ?? { running: 0, waiting: [] };
  callers.set(name, caller);
  return caller;
}

/** A client may give itself any number of names, so only callers with reads are remembered. */
function forgetIdle({ callers }: Lane, name: string): void {
  const caller = callers.get(name);
  if (caller?.running === 0 && caller.waiting.length === 0) callers.delete(name);
}

/** Of those that take turns, the one that had its turn is the last, if it waits for another one. */
function toTheEnd(inTurn: Set<string>, name: string, waits: boolean): void {
  inTurn.delete(name);
  if (waits) inTurn.add(name);
}
