/**
 * Reads with ASOF that wait until their collection's log is applied as far as their token says. They wait before they
 * take a place among the reads, so they keep no other read waiting. What remains is decided by the command itself: a
 * read that has waited for its time is run like one whose token is reached, and finds that it is not.
 */
import { EventEmitter, once } from "node:events";
import { commands } from "../../../commands/registry.ts";
import { decodeToken, isReached, type Timelines, type Token } from "../../../commands/token.ts";
import type { Catalog } from "../../../engine/catalog.ts";
import { VstoreError } from "../../../errors.ts";
import { limits } from "../../../limits.ts";
import type { Request } from "../request.ts";

/** Of one collection: reads, and the bytes of their requests. */
const waitsOfCollectionMax = 1_024;
const waitingBytesOfCollectionMax = 16 * 1024 * 1024;
/** Of all collections. */
const waitingBytesMax = 256 * 1024 * 1024;

interface Waiting {
  readonly token: Token;
  readonly bytes: number;
  readonly since: number;
  readonly timer: NodeJS.Timeout;
  readonly go: (waitedMs: number) => void;
}

interface Lane {
  readonly waiting: Set<Waiting>;
  bytes: number;
}

export class AsOfWaits {
  readonly #catalog: Catalog;
  readonly #waitMs: number;
  readonly #timelines: Timelines | undefined;
  readonly #lanes = new Map<string, Lane>();
  readonly #ended = new EventEmitter();
  #bytes = 0;

  constructor(catalog: Catalog, waitMs: number = limits.asOfWaitMsMax, timelines?: Timelines) {
    this.#catalog = catalog;
    this.#timelines = timelines;
    this.#waitMs = waitMs;
  }

  /**
   * Calls `go` once the token of the request is reached, or its time is over.
   *
   * @returns false when the request need not wait: then `go` is not called
   * @throws {VstoreError} TRYAGAIN, when too many wait
   */
  hold(request: Request, go: (waitedMs: number) => void): boolean {
    const token = this.#awaited(request);
    if (token === undefined) return false;
    const { collection, bytes } = request;
    const lane = this.#lanes.get(collection) ?? { waiting: new Set(), bytes: 0 };
    if (lane.waiting.size > 0 && this.#isFull(lane, bytes)) throw tooMany(collection);
    const timer = setTimeout(() => this.#end(collection, lane, waiting), this.#waitMs);
    const waiting: Waiting = { token, bytes, since: performance.now(), timer, go };
    this.#lanes.set(collection, lane);
    lane.waiting.add(waiting);
    lane.bytes += bytes;
    this.#bytes += bytes;
    return true;
  }

  /** Must be called when entries of logs were applied, and when collections came or went. */
  recheck(): void {
    for (const [name, lane] of this.#lanes) {
      for (const waiting of lane.waiting) {
        if (!this.#mustWait(name, waiting.token)) this.#end(name, lane, waiting);
      }
    }
  }

  get any(): boolean {
    return this.#lanes.size > 0;
  }

  /** Resolves when none waits. */
  async idle(): Promise<void> {
    while (this.#lanes.size > 0) await once(this.#ended, "one");
  }

  /** Those that wait are never run. */
  forget(): void {
    for (const { waiting } of this.#lanes.values()) for (const { timer } of waiting) clearTimeout(timer);
    this.#lanes.clear();
    this.#bytes = 0;
  }

  /** The token that is not reached yet. What is wrong with it is for the command to say. */
  #awaited({ name, collection, args }: Request): Token | undefined {
    const bytes = commands.get(name)?.args.asOf?.(args);
    if (bytes === undefined) return undefined;
    try {
      const token = decodeToken(collection, bytes);
      return this.#mustWait(collection, token) ? token : undefined;
    } catch {
      return undefined;
    }
  }

  #mustWait(name: string, token: Token): boolean {
    try {
      const collection = this.#catalog.find(name);
      return collection !== undefined && !isReached(collection, token, this.#timelines);
    } catch {
      return false;
    }
  }

  #isFull(lane: Lane, bytes: number): boolean {
    return (
      lane.waiting.size >= waitsOfCollectionMax ||
      lane.bytes + bytes > waitingBytesOfCollectionMax ||
      this.#bytes + bytes > waitingBytesMax
    );
  }

  #end(collection: string, lane: Lane, waiting: Waiting): void {
    clearTimeout(waiting.timer);
    lane.waiting.delete(waiting);
    lane.bytes -= waiting.bytes;
    this.#bytes -= waiting.bytes;
    if (lane.waiting.size === 0) this.#lanes.delete(collection);
    waiting.go(performance.now() - waiting.since);
    this.#ended.emit("one");
  }
}

function tooMany(collection: string): VstoreError {
  return new VstoreError("TRYAGAIN", `too many reads of collection '${collection}' wait for their ASOF`);
}
