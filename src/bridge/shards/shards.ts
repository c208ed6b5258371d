/**
 * Requests about collections whose vectors are in parts on several nodes. They take no places of the reads of this
 * node: the reads that they cause on other nodes, and on this one, would wait for places that they themselves hold.
 */
import type { Context } from "../../commands/command.ts";
import type { Outcome } from "../../commands/execute.ts";
import { commands } from "../../commands/registry.ts";
import type { Reply } from "../../commands/wire/reply.ts";
import { encodeInSlices } from "../../commands/wire/resp3.ts";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { VstoreError } from "../../errors.ts";
import { type Answers, refusal } from "../requests/answers.ts";
import { ReadQueue } from "../requests/reads/read-queue.ts";
import type { Request } from "../requests/request.ts";
import { faultOf } from "../requests/routing.ts";
import type { Source } from "../requests/sources.ts";
import { handlers } from "./handlers.ts";
import type { Nodes } from "./nodes.ts";
import { Parts } from "./parts.ts";

export interface ShardsParts {
  readonly catalog: Catalog;
  readonly nodes: Nodes;
  readonly answers: Answers;
  readonly context: (request: Request) => Context;
  readonly onUnexpectedError: (error: unknown, command: string) => void;
}

export class Shards {
  readonly #parts: ShardsParts;
  /** Those under way have as many places as the reads of a node, shared in the same way. */
  readonly #queue = new ReadQueue();
  readonly #known = new WeakMap<Collection, Parts>();

  constructor(parts: ShardsParts) {
    this.#parts = parts;
  }

  /** Resolves when none is under way. */
  idle(): Promise<void> {
    return this.#queue.idle();
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
    const parts = new Parts(home, this.#parts.nodes);
    this.#known.set(home, parts);
    return parts;
  }

  #offer(request: Request, parts: Parts): void {
    const { collection, user, caller, bytes } = request;
    const run = () => this.#answer(request, parts);
    if (this.#queue.offer({ collection, user, caller, bytes, run })) return;
    const what = `too many requests of collection '${collection}' wait for its parts already`;
    this.#parts.answers.toPassing(request, refusal(new VstoreError("TRYAGAIN", what)));
  }

  async #answer(request: Request, parts: Parts): Promise<void> {
    this.#parts.answers.toPassing(request, await this.#outcomeOf(request, parts));
  }

  async #outcomeOf(request: Request, parts: Parts): Promise<Outcome> {
    try {
      return { bytes: await encodeInSlices(await this.#run(request, parts)) };
    } catch (error) {
      if (error instanceof VstoreError) return refusal(error);
      this.#parts.onUnexpectedError(error, request.name);
      return refusal(new VstoreError("ERR", `internal error: ${(error as Error).message}`));
    }
  }

  #run(request: Request, parts: Parts): Promise<Reply> {
    const { name, args } = request;
    const handler = handlers.get(name);
    if (handler === undefined)
      throw new VstoreError(
        "ERR",
        `VSTORE.${name} is not for collections with SHARDS, and '${parts.home.name}' is one`,
      );
    if (commands.get(name)?.args.asOf?.(args) !== undefined)
      throw new VstoreError(
        "ERR",
        "'ASOF' is not for collections with SHARDS; their reads show all acknowledged writes",
      );
    return handler(parts, args, this.#parts.context(request));
  }
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
