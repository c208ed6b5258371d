/**
 * Which reads run, and which wait for a place. So that no flood keeps other requests waiting, each collection, each
 * user and each caller has a number of places, and free ones go to the collections in turn, within a collection to its
 * users in turn, and within a user to its callers in turn. So a thousand connections of one user have the share of that
 * user. A caller is a connection to Redis, or the reply stream of a stream client. No read keeps the loop from taking
 * more requests: where too many of one collection wait, further ones are refused.
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
  /** Of the places of a collection, those of running reads and those of waiting ones, what one user may take. */
  readonly userShare: number;
}

export const readLimits: ReadLimits = {
  runningMax: 1_024,
  runningOfCollectionMax: Math.max(96, 24 * availableParallelism()),
  runningOfCallerMax: 32,
  waitingOfCollectionMax: 24_576,
  waitingBytesOfCollectionMax: 96 * 1024 * 1024,
  waitingBytesMax: 256 * 1024 * 1024,
  // So another user finds a free place at once.
  userShare: 2 / 3,
};

export interface Read {
  readonly collection: string;
  readonly user: string;
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

/** Of one user, within a collection. */
interface User {
  running: number;
  waiting: number;
  waitingBytes: number;
  readonly callers: Map<string, Caller>;
  /** Those with reads that wait, the one whose turn is next first. */
  readonly inTurn: Set<string>;
}

interface Lane {
  running: number;
  waiting: number;
  waitingBytes: number;
  readonly users: Map<string, User>;
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

  /** Callers that are remembered, of each user of each collection. */
  get callers(): number {
    const users = [...this.#lanes.values()].flatMap((lane) => [...lane.users.values()]);
    return users.reduce((sum, { callers }) => sum + callers.size, 0);
  }

  /** Starts the read, or has it wait for a place; false where too many of its collection wait. */
  offer(read: Read): boolean {
    const lane = entryOf(this.#lanes, read.collection, newLane);
    const user = entryOf(lane.users, read.user, newUser);
    const caller = entryOf(user.callers, read.caller, newCaller);
    if (caller.waiting.length === 0 && this.#hasPlace(lane, user) && this.#mayRun(caller)) {
      this.#start(lane, user, caller, read, 0);
      return true;
    }
    if (lane.waiting > 0 && this.#isFull(lane, user, read.bytes)) {
      forgetIdle(lane, read);
      return false;
    }
    caller.waiting.push({ read, since: performance.now() });
    this.#countWaiting(lane, user, 1, read.bytes);
    user.inTurn.add(read.caller);
    lane.inTurn.add(read.user);
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
      for (const user of lane.users.values()) {
        for (const caller of user.callers.values()) caller.waiting.length = 0;
        user.inTurn.clear();
        user.waiting = 0;
        user.waitingBytes = 0;
      }
      lane.inTurn.clear();
      lane.waiting = 0;
      lane.waitingBytes = 0;
    }
  }

  #countWaiting(lane: Lane, user: User, reads: number, bytes: number): void {
    lane.waiting += reads;
    lane.waitingBytes += bytes;
    user.waiting += reads;
    user.waitingBytes += bytes;
    this.#waitingBytes += bytes;
  }

  #hasPlace(lane: Lane, user: User): boolean {
    const { runningMax, runningOfCollectionMax, userShare } = this.#limits;
    return (
      this.#running < runningMax &&
      lane.running < runningOfCollectionMax &&
      user.running < userShare * runningOfCollectionMax
    );
  }

  #mayRun({ running }: Caller): boolean {
    return running < this.#limits.runningOfCallerMax;
  }

  #isFull(lane: Lane, user: User, bytes: number): boolean {
    const { waitingOfCollectionMax, waitingBytesOfCollectionMax, waitingBytesMax, userShare } = this.#limits;
    const isFilled = ({ waiting, waitingBytes }: Lane | User, share: number) =>
      waiting >= share * waitingOfCollectionMax || waitingBytes + bytes > share * waitingBytesOfCollectionMax;
    const isUsersFilled = user.waiting > 0 && isFilled(user, userShare);
    return isFilled(lane, 1) || isUsersFilled || this.#waitingBytes + bytes > waitingBytesMax;
  }

  #start(lane: Lane, user: User, caller: Caller, read: Read, waitedMs: number): void {
    this.#running++;
    lane.running++;
    user.running++;
    caller.running++;
    void read.run(waitedMs).then(() => {
      this.#running--;
      lane.running--;
      user.running--;
      caller.running--;
      forgetIdle(lane, read);
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
        const user = lane.users.get(name)!;
        if (this.#hasPlace(lane, user) && this.#startOneOf(lane, user)) return true;
      }
    }
    return false;
  }

  #startOneOf(lane: Lane, user: User): boolean {
    for (const name of user.inTurn) {
      const caller = user.callers.get(name)!;
      if (!this.#mayRun(caller)) continue;
      const { read, since } = caller.waiting.shift()!;
      this.#countWaiting(lane, user, -1, -read.bytes);
      toTheEnd(user.inTurn, name, caller.waiting.length > 0);
      toTheEnd(lane.inTurn, read.user, user.inTurn.size > 0);
      toTheEnd(this.#inTurn, read.collection, lane.waiting > 0);
      this.#start(lane, user, caller, read, performance.now() - since);
      return true;
    }
    return false;
  }
}

const newLane = (): Lane => ({
  running: 0,
  waiting: 0,
  waitingBytes: 0,
  users: new Map(),
  inTurn: new Set(),
});
const newUser = (): User => ({
  running: 0,
  waiting: 0,
  waitingBytes: 0,
  callers: new Map(),
  inTurn: new Set(),
});
const newCaller = (): Caller => ({ running: 0, waiting: [] });

/** What the map has under the name, made anew where it has nothing. */
function entryOf<T>(map: Map<string, T>, name: string, make: () => T): T {
  const there = map.get(name);
  if (there !== undefined) return there;
  const made = make();
  map.set(name, made);
  return made;
}

/** A client may give itself any number of names, so only callers and users with reads are remembered. */
function forgetIdle({ users }: Lane, { user: userName, caller: name }: Read): void {
  const user = users.get(userName);
  const caller = user?.callers.get(name);
  if (caller?.running === 0 && caller.waiting.length === 0) user!.callers.delete(name);
  if (user?.callers.size === 0) users.delete(userName);
}

/** Of those that take turns, the one that had its turn is the last, if it waits for another one. */
function toTheEnd(inTurn: Set<string>, name: string, waits: boolean): void {
  inTurn.delete(name);
  if (waits) inTurn.add(name);
}
