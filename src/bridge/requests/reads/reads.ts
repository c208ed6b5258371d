/**
 * The reads that are under way, and those that wait: for the token of their ASOF, then for one of the places, of which
 * each collection, user and client has some. What commands wait for by themselves takes no place.
 */

import { card } from "../../../commands/collections/card.ts";
import type { Context } from "../../../commands/command.ts";
import { execute, type Outcome } from "../../../commands/execute.ts";
import { commands } from "../../../commands/registry.ts";
import { msearch } from "../../../commands/search/msearch.ts";
import { answerMsearchPlainly, readPlainMsearch } from "../../../commands/search/plain-msearch.ts";
import { answerPlainly, readPlainSearch } from "../../../commands/search/plain-search.ts";
import { search } from "../../../commands/search/search.ts";
import { get } from "../../../commands/vectors/get.ts";
import {
  answerPlainCard,
  answerPlainGet,
  isPlainCard,
  readPlainGet,
} from "../../../commands/vectors/plain-reads.ts";
import type { Catalog } from "../../../engine/catalog.ts";
import { VstoreError } from "../../../errors.ts";
import { limits } from "../../../limits.ts";
import { type Answers, refusal } from "../answers.ts";
import type { Outbox } from "../outbox.ts";
import type { Request } from "../request.ts";
import type { AsOfWaits } from "./as-of-waits.ts";
import { Budget } from "./budget.ts";
import { Limiter } from "./limiter.ts";
import { ReadQueue } from "./read-queue.ts";

/** A read that has waited for so long may have lost its client. */
const staleMs = 100;
/**
 * BUILD WAIT, CHECKPOINT and WAIT under way. They take no places of the reads, as they wait for minutes. One more is
 * refused, so that no other request waits for it.
 */
const waitsMax = 1_024;
/** Bytes of large answers that are being built, or that Redis has not taken yet; others wait meanwhile. */
const answerBytesTotalMax = 2 * limits.answerBytesMax;

/** The short way of a read: see answerPlainly. */
type Plainly = (
  catalog: Catalog,
  collection: string,
  answer: (bytes: Buffer) => void,
  fail: () => void,
) => boolean;

export interface ReadsParts {
  readonly catalog: Catalog;
  readonly answers: Answers;
  readonly outbox: Outbox;
  readonly asOfWaits: AsOfWaits;
  readonly context: (request: Request, answerRoom?: Context["answerRoom"]) => Context;
  /** Whether the entry of a request is still there: the module deletes that of a client that has left. */
  readonly isWanted: (request: Request) => Promise<boolean>;
}

export class Reads {
  readonly #parts: ReadsParts;
  readonly #queue = new ReadQueue();
  readonly #waits = new Limiter(waitsMax);
  readonly #answerBytes = new Budget(answerBytesTotalMax);

  constructor(parts: ReadsParts) {
    this.#parts = parts;
  }

  /** Resolves when no read is under way. */
  async idle(): Promise<void> {
    await this.#parts.asOfWaits.idle(); // first, as those that have waited become reads
    await Promise.all([this.#queue.idle(), this.#waits.idle()]);
  }

  /** Those that have not begun never do. */
  forget(): void {
    this.#parts.asOfWaits.forget();
    this.#queue.forget();
  }

  /** Must be called when entries of logs were applied, and when collections came or went. */
  recheck(): void {
    this.#parts.asOfWaits.recheck();
  }

  refuse(request: Request, outcome: Outcome): void {
    this.#parts.answers.toPassing(request, outcome);
  }

  /**
   * Begins with a read, or lets it wait for its turn.
   *
   * @param fault why it is refused, where it is
   */
  start(request: Request, fault: string | undefined): void {
    const plain = fault === undefined ? plainlyOf(request) : undefined;
    if (plain === undefined) this.#startOther(request, fault);
    else this.#offer(request, fault, 0, plain);
  }

  #startOther(request: Request, fault: string | undefined): void {
    const { answers, asOfWaits } = this.#parts;
    if (commands.get(request.name)?.long === true) {
      const run = () => this.#answer(request, fault, 0);
      if (!this.#waits.tryStart(run)) answers.toPassing(request, refusal(tooManyWaits()));
      return;
    }
    try {
      const offer = (waitedMs: number) => this.#offer(request, fault, waitedMs);
      if (!asOfWaits.hold(request, offer)) offer(0);
    } catch (error) {
      answers.toPassing(request, refusal(error as VstoreError));
    }
  }

  /** @param waitedMs before, for the token of its ASOF */
  #offer(request: Request, fault: string | undefined, waitedMs: number, plain?: Plainly): void {
    const { collection, user, caller, bytes } = request;
    const run = (ms: number) =>
      plain !== undefined && ms < staleMs
        ? this.#answerPlainly(request, plain, ms)
        : this.#answer(request, fault, waitedMs + ms);
    if (!this.#queue.offer({ collection, user, caller, bytes, run }))
      this.#parts.answers.toPassing(request, refusal(tooManyReads(collection)));
  }

  #answerPlainly(request: Request, plainly: Plainly, waitedMs: number): Promise<void> {
    const { answers, catalog } = this.#parts;
    return new Promise((resolve) => {
      const answer = (bytes: Buffer) => {
        answers.toPassing(request, { bytes });
        resolve();
      };
      const takeOtherWay = () => resolve(this.#answer(request, undefined, waitedMs));
      if (!plainly(catalog, request.collection, answer, takeOtherWay)) takeOtherWay();
    });
  }

  async #answer(request: Request, fault: string | undefined, waitedMs: number): Promise<void> {
    const { answers, context, outbox } = this.#parts;
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

/** Undefined where there is no short way. */
function plainlyOf({ name, args }: Request): Plainly | undefined {
  if (name === search.name) {
    const plain = readPlainSearch(args);
    return plain && ((catalog, of, answer, fail) => answerPlainly(catalog, of, plain, answer, fail));
  }
  if (name === card.name)
    return isPlainCard(args) ? atOnce((catalog, of) => answerPlainCard(catalog, of)) : undefined;
  if (name === get.name) {
    const plain = readPlainGet(args);
    return plain && atOnce((catalog, of) => answerPlainGet(catalog, of, plain));
  }
  const plain = name === msearch.name ? readPlainMsearch(args) : undefined;
  return plain && ((catalog, of, answer, fail) => answerMsearchPlainly(catalog, of, plain, answer, fail));
}

/** @param read undefined where it has to take the other way */
function atOnce(read: (catalog: Catalog, of: string) => Buffer | undefined): Plainly {
  return (catalog, of, answer) => {
    const bytes = read(catalog, of);
    if (bytes !== undefined) answer(bytes);
    return bytes !== undefined;
  };
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
