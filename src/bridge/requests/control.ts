/**
 * The writes of vstore:control: CREATE and DROP, and writes whose log was missing when they were sent. Each is
 * run once; what follows from it in Redis is repeated until it is done, also after a crash in between.
 */
import type { Redis } from "ioredis";
import type { Context } from "../../commands/command.ts";
import { execute, type Outcome } from "../../commands/execute.ts";
import { commands } from "../../commands/registry.ts";
import type { Catalog } from "../../engine/catalog.ts";
import { failPoint } from "../../engine/fail-point.ts";
import { compareIds } from "../../engine/log-id.ts";
import { VstoreError } from "../../errors.ts";
import { type Follows, forgetFollow } from "../follow/follows.ts";
import type { LogLosses } from "../logs/losses.ts";
import { alignLog, expectDrop, forgetCollection, restoreLogs } from "../logs/reconcile.ts";
import { setBack } from "../logs/set-back.ts";
import { type Answers, refusal } from "./answers.ts";
import { aheadOf } from "./moment.ts";
import type { Request } from "./request.ts";
import { namedCollection } from "./routing.ts";
import type { Source } from "./sources.ts";

/** How often the logs are looked for. */
const watchMs = 1_000;

export class Control {
  readonly #redis: Redis;
  readonly #catalog: Catalog;
  readonly #answers: Answers;
  readonly #context: (request: Request) => Context;
  readonly #losses: LogLosses;
  readonly #follows: Follows;
  #watchedAt = performance.now();

  constructor(
    redis: Redis,
    catalog: Catalog,
    answers: Answers,
    context: (request: Request) => Context,
    losses: LogLosses,
    follows: Follows,
  ) {
    this.#redis = redis;
    this.#catalog = catalog;
    this.#answers = answers;
    this.#context = context;
    this.#losses = losses;
    this.#follows = follows;
  }

  async apply(source: Source, request: Request): Promise<void> {
    const ahead = aheadOf(request, this.#catalog.clock(), false);
    if (ahead !== undefined) {
      this.#answers.toControlWrite(request, refusal(ahead));
      await setBack(this.#redis, source, request.id, this.#catalog.controlId);
      return;
    }
    const collection = namedCollection(request) ?? "";
    const isNew = compareIds(request.id, this.#catalog.controlId) > 0;
    const outcome = isNew ? await this.#run(request, collection) : undefined;
    failPoint("control-before-follow-up");
    await this.#followUp(request, collection);
    this.#answers.toControlWrite(request, outcome);
  }

  /** Gives a collection whose log has vanished its log back. */
  async restoreLog(name: string | undefined): Promise<void> {
    const collection = name === undefined ? undefined : this.#catalog.find(name);
    if (collection !== undefined) await alignLog(this.#redis, collection, this.#losses);
  }

  /**
   * Does so for all of them, once a second: what only a vanished log had is made durable without waiting for the next
   * write, and collections that have fallen behind the keys that they follow catch up. Between two batches, as CREATE and DROP must not come in between.
   */
  async restoreLogs(): Promise<void> {
    if (performance.now() - this.#watchedAt < watchMs) return;
    await restoreLogs(this.#redis, this.#catalog, this.#losses);
    await this.#follows.restore();
    this.#watchedAt = performance.now();
  }

  async #run(request: Request, collection: string): Promise<Outcome> {
    const isUsable = this.#catalog.find(collection) !== undefined;
    if (isUsable && commands.get(request.name)?.route === "log") return logWasMissing(collection);
    if (request.name === "DROP" && this.#exists(collection)) await expectDrop(this.#redis, collection);
    const outcome = await this.#execute(request);
    await this.#catalog.markControl(request.id);
    return outcome;
  }

  #execute(request: Request): Outcome | Promise<Outcome> {
    if (request.fault !== undefined) return refusal(new VstoreError("ERR", request.fault));
    return execute(this.#context(request), request.name, request.args);
  }

  async #followUp(request: Request, collection: string): Promise<void> {
    await this.restoreLog(collection);
    if (request.name === "CREATE") await this.#follows.restore();
    if (request.name !== "DROP" || this.#exists(collection)) return;
    await forgetFollow(this.#redis, collection);
    await forgetCollection(this.#redis, collection);
  }

  /** Damaged ones exist too. */
  #exists(collection: string): boolean {
    return this.#catalog.has(collection);
  }
}

function logWasMissing(collection: string): Outcome {
  const what = `the log of collection '${collection}' was not in Redis when this was sent, and is now; nothing was changed`;
  return refusal(new VstoreError("TRYAGAIN", what));
}
