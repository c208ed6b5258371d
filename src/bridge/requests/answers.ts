/** Sends the outcome of a request to the client that waits for it, and deletes its entry when the module does not. */
import { withoutModule } from "../../commands/cache/module-words.ts";
import { cacheSet } from "../../commands/cache/set.ts";
import { valueOfSet } from "../../commands/cache/values.ts";
import type { Outcome } from "../../commands/execute.ts";
import { encodeError } from "../../commands/wire/resp3.ts";
import { toWireError } from "../../commands/wire/wire-error.ts";
import { VstoreError } from "../../errors.ts";
import { controlStream, errorsStream } from "../redis/keys.ts";
import type { Tally } from "../watch/tally.ts";
import type { Outbox } from "./outbox.ts";
import type { Releases } from "./releases.ts";
import type { Request } from "./request.ts";
import type { Source } from "./sources.ts";

/** Redis takes at most 512 MiB in one argument (proto-max-bulk-len). */
const sentBytesMax = 256 * 1024 * 1024;
/** Commands that the module appends for followed keys; clients may append a DEL too. */
const wordsOfModule: ReadonlySet<string> = new Set(["DEL", "FOLLOWED"]);

export class Answers {
  readonly #outbox: Outbox;
  readonly #tally: Tally;
  readonly #releases: Releases;

  constructor(outbox: Outbox, tally: Tally, releases: Releases) {
    this.#outbox = outbox;
    this.#tally = tally;
    this.#releases = releases;
  }

  /** For a write of a log: its entry stays, until a checkpoint covers it. */
  toWrite(source: Source, request: Request, outcome: Outcome): void {
    this.#tally.count(request.name, request.readAt, outcome);
    if (outcome.error !== undefined && request.name === cacheSet.name) this.#releaseUnused(request);
    if (dependsOnTheMoment(outcome)) this.#withdraw(source.collection, request);
    if (request.waiter.kind === "none") this.#report(source.collection, request, outcome);
    else this.#send(request, outcome);
  }

  /** For a write of a cache that the module did not make: a replay must not find it. */
  toForged(source: Source, request: Request): void {
    const outcome = refusal(withoutModule());
    this.#tally.count(request.name, request.readAt, outcome);
    this.#outbox.withdraw(request);
    if (request.waiter.kind === "none") this.#report(source.collection, request, outcome);
    else this.#send(request, outcome);
  }

  /** For a request whose entry is of no further use. The module deletes those of its own clients' reads. */
  toPassing(request: Request, outcome: Outcome): void {
    this.#tally.count(request.name, request.readAt, outcome);
    if (request.waiter.kind !== "client") this.#outbox.delete(request);
    this.#send(request, outcome);
  }

  /** For CREATE, DROP and writes that came to control: only the sidecar deletes their entries. */
  toControlWrite(request: Request, outcome: Outcome | undefined): void {
    this.#outbox.delete(request);
    if (outcome === undefined) return;
    this.#tally.count(request.name, request.readAt, outcome);
    if (request.waiter.kind === "none") this.#report(request.collection, request, outcome);
    else this.#send(request, outcome);
  }

  /**
   * Withdraws a write. A withdrawn entry about a followed key would be missing for ever, so its collection is out of
   * step.
   */
  #withdraw(collection: string, request: Request): void {
    this.#outbox.withdraw(request);
    if (request.waiter.kind === "none" && wordsOfModule.has(request.name)) this.#outbox.outOfStep(collection);
  }

  /** The value of a SET that was refused has no vector. */
  #releaseUnused(request: Request): void {
    const value = valueOfSet(request.args);
    if (value !== undefined) this.#releases.of(request)?.(request.collection, value.key, value.digest);
  }

  /** Reports in the errors stream that a write without a waiting client was refused. */
  #report(collection: string, request: Request, outcome: Outcome): void {
    if (outcome.error === undefined) return;
    const stream = errorsStream(collection || controlStream);
    this.#outbox.toErrors(stream, request, toWireError(outcome.error));
  }

  #send(request: Request, outcome: Outcome): void {
    const { bytes, error } = outcome.bytes.length > sentBytesMax ? tooLarge(outcome.bytes.length) : outcome;
    const { waiter } = request;
    if (waiter.kind === "client") this.#outbox.toModule(request, bytes);
    if (waiter.kind === "stream") this.#outbox.toStream(waiter.key, request, error ? "err" : "ok", bytes);
  }
}

export function refusal(error: VstoreError): Outcome {
  return { bytes: encodeError(toWireError(error)), error };
}

const momentary: ReadonlySet<string> = new Set(["FULL", "DAMAGED", "TRYAGAIN"]);

/**
 * Whether a replay could decide otherwise: it may find room, repaired files, or a clock that has caught up.
 */
function dependsOnTheMoment({ error }: Outcome): boolean {
  return error instanceof VstoreError && momentary.has(error.code);
}

function tooLarge(bytes: number): Outcome {
  const limit = `the answer of ${bytes} bytes is larger than ${sentBytesMax}; ask for less at a time`;
  return refusal(new VstoreError("LIMIT", limit));
}
