/**
 * Applies the entries of logs, each log in its own order, each entry once. A malformed or misplaced entry is
 * refused and counts as applied; nothing stops a log.
 */
import type { Redis } from "ioredis";
import type { Context } from "../../commands/command.ts";
import { execute, type Outcome } from "../../commands/execute.ts";
import { insertPlainly } from "../../commands/vectors/plain-insert.ts";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { failPoint } from "../../engine/fail-point.ts";
import { compareIds, laterId } from "../../engine/log-id.ts";
import type { TimeSlice } from "../../engine/time-slice.ts";
import { VstoreError } from "../../errors.ts";
import { setBack } from "../logs/set-back.ts";
import { type Answers, refusal } from "./answers.ts";
import { aheadOf, timeOf } from "./moment.ts";
import type { Delivery } from "./reader.ts";
import type { Request } from "./request.ts";
import { faultOf, isLong } from "./routing.ts";
import type { Source } from "./sources.ts";
import { giveBackJoined } from "./xread/joined-values.ts";

/** Undefined on a follower, which reads what the leader has let pass. */
export interface Forgeries {
  /**
   * Whether it is a write of a cache that must not be taken, as it does not prove that the module has made it.
   *
   * @param replays whether a client may have been answered already, by a Redis process of which nothing is known
   */
  isForged(request: Request, collection: Collection | undefined, replays: boolean): boolean;
  /** Refuses it, and takes it out of its log: no replay and no follower may find it. */
  refuse(source: Source, request: Request): Promise<void>;
}

export class Writes {
  readonly #redis: Redis;
  readonly #catalog: Catalog;
  readonly #answers: Pick<Answers, "toWrite">;
  readonly #forgeries: Forgeries | undefined;
  readonly #context: (request: Request) => Context;
  /** Hears of every entry that was applied. */
  readonly #onApplied: (collection: Collection, request: Request) => void;
  /** Has the logs read anew from where they are. */
  readonly #wakeReader: () => Promise<void>;

  constructor(
    redis: Redis,
    catalog: Catalog,
    answers: Pick<Answers, "toWrite">,
    forgeries: Forgeries | undefined,
    context: (request: Request) => Context,
    onApplied: (collection: Collection, request: Request) => void,
    wakeReader: () => Promise<void>,
  ) {
    this.#redis = redis;
    this.#catalog = catalog;
    this.#answers = answers;
    this.#forgeries = forgeries;
    this.#context = context;
    this.#onApplied = onApplied;
    this.#wakeReader = wakeReader;
  }

  /**
   * @param replays whether a client may have been answered already
   * @param slice of the turn, shared by all logs of a batch
   * @throws {VstoreError} FULL, when there is no room for a write that may have been acknowledged
   */
  async apply({ source, requests }: Delivery, replays: boolean, slice: TimeSlice): Promise<void> {
    const collection = this.#catalog.find(source.collection);
    for (const request of requests) {
      if (collection !== undefined && compareIds(request.id, collection.position) <= 0) continue;
      // Also before the first one: those of many logs begin in the same turn.
      if (isLong(request)) await slice.beforeLongStep();
      else if (slice.spent) await slice.pause();
      failPoint("write-before-apply");
      const ahead = aheadOf(request, this.#catalog.clock(), replays);
      if (ahead !== undefined) {
        await this.#passOver(source, collection, request, ahead);
        continue;
      }
      if (this.#forgeries?.isForged(request, collection, replays)) {
        await this.#forgeries.refuse(source, request);
        if (collection !== undefined) this.#passed(collection, request);
        continue;
      }
      const started = this.#applyOne(source, collection, request, replays);
      failPoint("write-before-answer");
      // Awaiting only what has to wait keeps a batch of small writes in one turn of the event loop.
      const outcome = started instanceof Promise ? await started : started;
      if (replays && foundNoRoom(outcome)) throw outcome.error;
      // It may have been acknowledged, and stays in the log for files that are whole.
      if (replays && foundDamage(outcome)) return;
      this.#answers.toWrite(source, request, outcome);
      if (collection !== undefined) this.#onApplied(collection, request);
    }
  }

  /**
   * One entry that comes after the others in spite of its id; see logs/strays.ts.
   *
   * @throws {VstoreError} FULL, as its writer may have been told QUEUED
   */
  async applyStray(collection: Collection, request: Request): Promise<void> {
    const source: Source = {
      stream: request.stream,
      kind: "log",
      collection: collection.name,
      last: request.id,
    };
    if (this.#forgeries?.isForged(request, collection, true)) return this.#forgeries.refuse(source, request);
    const outcome = await this.#applyOne(source, collection, request, true);
    if (foundNoRoom(outcome)) throw outcome.error;
    if (foundDamage(outcome)) return;
    this.#answers.toWrite(source, request, outcome);
    this.#onApplied(collection, request);
  }

  /** It leaves the log, and the log goes on where it was before, so that the next ids are no further ahead. */
  async #passOver(
    source: Source,
    collection: Collection | undefined,
    request: Request,
    error: VstoreError,
  ): Promise<void> {
    this.#answers.toWrite(source, request, refusal(error));
    if (collection === undefined) return;
    await setBack(this.#redis, source, request.id, collection.position);
    await this.#wakeReader(); // it may wait for ids that come after this one
  }

  #passed(collection: Collection, request: Request): void {
    collection.appliedId = laterId(collection.appliedId, request.id);
    this.#onApplied(collection, request);
  }

  /** Without a usable collection the command itself finds the words. */
  #applyOne(
    source: Source,
    collection: Collection | undefined,
    request: Request,
    replays: boolean,
  ): Outcome | Promise<Outcome> {
    const markApplied = (outcome: Outcome) => {
      if (collection === undefined || (replays && (foundNoRoom(outcome) || foundDamage(outcome)))) return;
      collection.appliedId = laterId(collection.appliedId, request.id);
    };
    const fault = faultOf(source, request);
    const atOnce =
      fault === undefined ? this.#applyPlainly(collection, request) : refusal(new VstoreError("ERR", fault));
    if (atOnce === undefined) return execute(this.#context(request), request.name, request.args, markApplied);
    markApplied(atOnce);
    return atOnce;
  }

  /** Undefined where the request has to take the way of all others. */
  #applyPlainly(collection: Collection | undefined, request: Request): Outcome | undefined {
    if (collection === undefined || this.#catalog.withheld.has(collection.name)) return undefined;
    const time = timeOf(request, this.#catalog.clock());
    const bytes = insertPlainly(collection, request.name, request.args, time);
    if (bytes === undefined) return undefined;
    giveBackJoined(request.args.at(-1)!); // the vectors are in the files, and nothing else reads them
    return { bytes };
  }
}

function foundNoRoom({ error }: Outcome): boolean {
  return error instanceof VstoreError && error.code === "FULL";
}

function foundDamage({ error }: Outcome): boolean {
  return error instanceof VstoreError && error.code === "DAMAGED";
}
