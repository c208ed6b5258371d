/**
 * Requests about collections whose vectors are in parts on several nodes. They take no places of the reads of this
 * node: the reads that they cause on other nodes, and on this one, would wait for places that they themselves hold.
 */
import type { Context } from "../../commands/command.ts";
import type { Outcome } from "../../commands/execute.ts";
import { commands } from "../../commands/registry.ts";
import { type PlainSearch, queryOf, readPlainSearch } from "../../commands/search/plain-search.ts";
import { search } from "../../commands/search/search.ts";
import type { Reply } from "../../commands/wire/reply.ts";
import { encodeInSlices } from "../../commands/wire/resp3.ts";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { VstoreError } from "../../errors.ts";
import { type Answers, refusal } from "../requests/answers.ts";
import { Budget } from "../requests/reads/budget.ts";
import { Limiter } from "../requests/reads/limiter.ts";
import { ReadQueue } from "../requests/reads/read-queue.ts";
import type { Request } from "../requests/request.ts";
import { faultOf } from "../requests/routing.ts";
import type { Source } from "../requests/sources.ts";
import { handlers } from "./commands/handlers.ts";
import { encodeNearest } from "./commands/merge.ts";
import { tokensIn } from "./commands/tokens.ts";
import { asksNotToWait, writeWithoutWaiting } from "./commands/waiting.ts";
import { Parts, type Ways } from "./parts.ts";

/** BUILD, CHECKPOINT and WAIT under way: they take no places, as they wait for minutes. */
const waitsMax = 64;
/** Bytes that parts may be about to answer with attributes and vectors; others wait meanwhile. */
const answerBytesTotalMax = 512 * 1024 * 1024;

export interface ShardsParts {
  readonly catalog: Catalog;
  readonly ways: Ways;
  readonly answers: Answers;
  readonly context: (request: Request, answerRoom?: Context["answerRoom"]) => Context;
  readonly onUnexpectedError: (error: unknown, command: string) => void;
}

export class Shards {
  readonly #parts: ShardsParts;
  /** Those under way have as many places as the reads of a node, shared in the same way. */
  readonly #queue = new ReadQueue();
  readonly #waits = new Limiter(waitsMax);
  readonly #answerBytes = new Budget(answerBytesTotalMax);
  readonly #known = new WeakMap<Collection, Parts>();

  constructor(parts: ShardsParts) {
    this.#parts = parts;
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    await Promise.all([this.#queue.idle(), this.#waits.idle()]);
  }

  /** Those that have not begun never do. */
  forget(): void {
    this.#queue.forget();
  }

  /**
   * Takes a request over if its collection has parts.
   *
   * @param replays whether an earlier session may have sent it on already
   */
  take(source: Source, request: Request, replays: boolean): boolean {
    const home = this.#parts.catalog.find(request.collection);
    if (home?.options.shards === undefined) return false;
    const error = faultIn(source, request) ?? (replays ? cutShort(request) : undefined);
    if (error !== undefined) this.#parts.answers.toPassing(request, refusal(error));
    else this.#offer(request, this.partsOf(home));
    return true;
  }

  partsOf(home: Collection): Parts {
    const known = this.#known.get(home);
    if (known !== undefined) return known;
    const parts = new Parts(home, this.#parts.ways);
    this.#known.set(home, parts);
    return parts;
  }

  #offer(request: Request, parts: Parts): void {
    const { name, collection, user, caller, bytes } = request;
    if (commands.get(name)?.long === true && handlers.has(name)) {
      if (!this.#waits.tryStart(() => this.#answer(request, parts)))
        this.#parts.answers.toPassing(request, refusal(tooManyWaits()));
      return;
    }
    const plain = name === search.name ? plainSearchOf(request, parts) : undefined;
    const run = () =>
      plain === undefined ? this.#answer(request, parts) : this.#answerPlainly(request, parts, plain);
    if (this.#queue.offer({ collection, user, caller, bytes, run })) return;
    const what = `too many requests of collection '${collection}' wait for its parts already`;
    this.#parts.answers.toPassing(request, refusal(new VstoreError("TRYAGAIN", what)));
  }

  /** The short way of a plain search, as of others: see plain-search.ts. */
  async #answerPlainly(request: Request, parts: Parts, plain: PlainSearch): Promise<void> {
    const { answers } = this.#parts;
    try {
      const { blob, k, ef, within } = plain;
      const found = await parts.searchPlainly({ blob, k, ef, within, withDistances: true });
      answers.toPassing(request, { bytes: encodeNearest(found, plain) });
    } catch (error) {
      answers.toPassing(request, this.#refusalOf(request, error));
    }
  }

  async #answer(request: Request, parts: Parts): Promise<void> {
    const room = this.#answerBytes.claim();
    const answerRoom = async (bytes: number) => void (await room.take(bytes));
    const context = this.#parts.context(request, answerRoom);
    this.#parts.answers.toPassing(request, await this.#outcomeOf(request, parts, context));
    room.giveBack();
  }

  async #outcomeOf(request: Request, parts: Parts, context: Context): Promise<Outcome> {
    try {
      return { bytes: await encodeInSlices(await this.#run(request, parts, context)) };
    } catch (error) {
      return this.#refusalOf(request, error);
    }
  }

  #refusalOf({ name }: Request, error: unknown): Outcome {
    if (error instanceof VstoreError) return refusal(error);
    this.#parts.onUnexpectedError(error, name);
    return refusal(new VstoreError("ERR", `internal error: ${(error as Error).message}`));
  }

  #run(request: Request, parts: Parts, context: Context): Promise<Reply> {
    const { name, args } = request;
    const handler = handlers.get(name);
    if (handler === undefined)
      throw new VstoreError(
        "ERR",
        `VSTORE.${name} is not for collections with SHARDS, and '${parts.home.name}' is one`,
      );
    if (asksNotToWait(request)) return writeWithoutWaiting(handler, parts, request, context);
    const asOf = commands.get(name)?.args.asOf?.(args);
    return handler(asOf === undefined ? parts : parts.asOf(tokensIn(asOf, parts)), args, context);
  }
}

/** Undefined where it is not plain: whatever is odd about it takes the way of all others. */
function plainSearchOf({ args }: Request, { home }: Parts): PlainSearch | undefined {
  const plain = readPlainSearch(args);
  return plain !== undefined && queryOf(plain.blob, home.options) !== undefined ? plain : undefined;
}

function tooManyWaits(): VstoreError {
  return new VstoreError(
    "TRYAGAIN",
    `${waitsMax} BUILD, CHECKPOINT and WAIT of collections with SHARDS are under way`,
  );
}

/** Only the module, which knows the caller's rights, sends writes this way. */
function faultIn(source: Source, request: Request): VstoreError | undefined {
  const isWrite = commands.get(request.name)?.route === "log";
  const isProven = request.waiter.kind === "client" && source.collection === "" && source.kind === "queries";
  const fault = isWrite && isProven ? request.fault : faultOf(source, request);
  return fault === undefined ? undefined : new VstoreError("ERR", fault);
}

function cutShort({ name }: Request): VstoreError {
  return commands.get(name)?.route === "log"
    ? new VstoreError(
        "LOST",
        "the sidecar went while the write was under way; it may have been applied or not",
      )
    : new VstoreError("TRYAGAIN", "the sidecar that had this read has gone");
}
