/**
 * Applies the entries of logs, each log in its own order, each entry once. A malformed or misplaced entry is
 * refused and counts as applied; nothing stops a log.
 */
import type { Context } from "../commands/command.ts";
import { execute, type Outcome } from "../commands/execute.ts";
import type { Catalog } from "../engine/catalog.ts";
import type { Collection } from "../engine/collection.ts";
import { compareIds } from "../engine/log-id.ts";
import { VstoreError } from "../errors.ts";
import { type Answers, refusal } from "./answers.ts";
import type { Request } from "./frame.ts";
import type { Delivery } from "./reader.ts";
import { faultOf } from "./routing.ts";
import { positionOf, type Source, usable } from "./sources.ts";

export class Writes {
  readonly #catalog: Catalog;
  readonly #answers: Answers;
  readonly #context: (request: Request) => Context;
  /** Hears the size of every entry that was applied. */
  readonly #onApplied: (collection: Collection, bytes: number) => void;

  constructor(
    catalog: Catalog,
    answers: Answers,
    context: (request: Request) => Context,
    onApplied: (collection: Collection, bytes: number) => void,
  ) {
    this.#catalog = catalog;
    this.#answers = answers;
    this.#context = context;
    this.#onApplied = onApplied;
  }

  async apply({ source, requests }: Delivery): Promise<void> {
    const collection = usable(this.#catalog, source.collection);
    for (const request of requests) {
      if (collection !== undefined && compareIds(request.id, positionOf(collection)) <= 0) continue;
      const outcome = this.#applyOne(source, collection, request);
      // Awaiting only what has to wait keeps a batch of small writes in one turn of the event loop.
      this.#answers.toWrite(source, request, outcome instanceof Promise ? await outcome : outcome);
      if (collection !== undefined) this.#onApplied(collection, request.bytes);
    }
  }

  /** Without a usable collection the command itself finds the words. */
  #applyOne(
    source: Source,
    collection: Collection | undefined,
    request: Request,
  ): Outcome | Promise<Outcome> {
    const markApplied = () => {
      if (collection !== undefined) collection.appliedId = request.id;
    };
    const fault = faultOf(source, request);
    if (fault === undefined) return execute(this.#context(request), request.name, request.args, markApplied);
    markApplied();
    return refusal(new VstoreError("ERR", fault));
  }
}
