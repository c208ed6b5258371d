/**
 * The writes of vstore:control: CREATE and DROP, and writes whose log was missing when they were sent. Each runs once;
 * its consequences in Redis are repeated until they are done, also after a crash in between.
 */
import type { Redis } from "ioredis";
import type { Context } from "../../commands/command.ts";
import { execute, type Outcome } from "../../commands/execute.ts";
import { commands } from "../../commands/registry.ts";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { failPoint } from "../../engine/fail-point.ts";
import { Remains } from "../../engine/generation/remains.ts";
import { compareIds } from "../../engine/log-id.ts";
import { VstoreError } from "../../errors.ts";
import { type Follows, forgetFollow } from "../follow/follows.ts";
import type { LeaderProgress } from "../followers/progress.ts";
import type { LogLosses } from "../logs/losses.ts";
import { alignLog, expectDrop, forgetCollection, restoreLogs } from "../logs/reconcile.ts";
import { setBack } from "../logs/set-back.ts";
import { droppedStream } from "../redis/keys.ts";
import type { Session } from "../session/session.ts";
import { restoreMarks } from "../shards/marks.ts";
import { type Answers, refusal } from "./answers.ts";
import { aheadOf } from "./moment.ts";
import type { Outbox } from "./outbox.ts";
import type { Request } from "./request.ts";
import type { Source } from "./sources.ts";

/** Collections that are created and dropped at the same time. */
const sideBySideMax = 16;
/** Commands that make a collection. */
const creating: ReadonlySet<string> = new Set(["CREATE", "CACHE.CREATE"]);
/** How often to check whether the logs are there. */
const watchMs = 1_000;

/** What has to be known of DROPs of caches, whose values end with them. */
export interface Drops {
  /** Whether the module has appended it, after it had checked its caller's rights. */
  isProven(request: Request): boolean;
  /** Called when the DROP of this id is complete but for the values. */
  begin(dropId: string): void;
}

export class Control {
  readonly #redis: Redis;
  readonly #reads: Redis;
  readonly #catalog: Catalog;
  readonly #answers: Pick<Answers, "toControlWrite">;
  readonly #context: (request: Request) => Context;
  readonly #losses: LogLosses;
  readonly #follows: Follows;
  readonly #progress: LeaderProgress;
  readonly #drops: Drops;
  readonly #told: Outbox | undefined;
  #watchedAt = performance.now();
  #turn = 0;

  /** @param told where followers have to apply a write before it is answered */
  constructor(
    session: Session,
    catalog: Catalog,
    answers: Pick<Answers, "toControlWrite">,
    context: (request: Request) => Context,
    losses: LogLosses,
    follows: Follows,
    progress: LeaderProgress,
    drops: Drops,
    told: Outbox | undefined,
  ) {
    this.#drops = drops;
    this.#told = told;
    this.#progress = progress;
    this.#redis = session.writer;
    this.#reads = session.answerer;
    this.#catalog = catalog;
    this.#answers = answers;
    this.#context = context;
    this.#losses = losses;
    this.#follows = follows;
  }

  /**
   * Applies the writes of one collection in their order, and several collections side by side, so that they share
   * flushes.
   */
  async apply(source: Source, requests: readonly Request[]): Promise<void> {
    const credible: Request[] = [];
    for (const request of requests) {
      const ahead = aheadOf(request, this.#catalog.clock(), false);
      if (ahead === undefined) credible.push(request);
      else await this.#passOver(source, request, ahead);
    }
    const { controlId } = this.#catalog;
    const isNew = ({ id }: Request) => compareIds(id, controlId) > 0;
    this.#catalog.beginControl(credible.filter(isNew).map(({ id }) => id));
    const waiting = byCollection(credible);
    const applyNext = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
        await this.#applyInOrder(next[0], next[1], isNew);
    };
    await Promise.all(Array.from({ length: sideBySideMax }, applyNext));
    if (credible.length > 0) await this.#tellFollowers(source, credible.at(-1)!);
  }

  /** The module holds the answers until they have done the same. */
  async #tellFollowers({ stream }: Source, { id }: Request): Promise<void> {
    if (this.#told === undefined) return;
    await this.#progress.tell(true);
    this.#told.tellApplied(stream, id);
  }

  async #applyInOrder(
    collection: string,
    requests: readonly Request[],
    isNew: (request: Request) => boolean,
  ): Promise<void> {
    for (const request of requests) {
      const outcome = isNew(request) ? await this.#run(request, collection) : undefined;
      failPoint("control-before-follow-up");
      await this.#followUp(request, collection);
      this.#answers.toControlWrite(request, outcome);
    }
  }

  async #passOver(source: Source, request: Request, error: VstoreError): Promise<void> {
    this.#answers.toControlWrite(request, refusal(error));
    await setBack(this.#redis, source, request.id, this.#catalog.controlId);
  }

  /** Restores the log of a collection, if it has vanished. */
  async restoreLog(name: string | undefined): Promise<void> {
    const collection = name === undefined ? undefined : this.#catalog.find(name);
    if (collection !== undefined) await alignLog(this.#redis, collection, this.#losses);
  }

  /**
   * Restores all logs, once a second: applied writes of a vanished log become durable without waiting for the next
   * write, and collections that have fallen behind the keys that they follow catch up. Runs between two batches, as
   * CREATE and DROP must not come in between.
   */
  async restoreLogs(): Promise<void> {
    if (performance.now() - this.#watchedAt < watchMs) return;
    await restoreLogs(this.#redis, this.#reads, this.#catalog, this.#losses, this.#turn++);
    await this.#follows.restore();
    await restoreMarks(this.#redis, this.#reads, this.#catalog);
    this.#watchedAt = performance.now();
  }

  async #run(request: Request, collection: string): Promise<Outcome> {
    const isUsable = this.#catalog.find(collection) !== undefined;
    const isLost = isUsable && commands.get(request.name)?.route === "log";
    if (request.name === "DROP" && this.#exists(collection))
      await expectDrop(this.#redis, collection, this.#streamOfDrop(request, this.#catalog.find(collection)));
    const outcome = isLost ? logWasMissing(collection) : await this.#execute(request);
    await this.#catalog.markControl(request.id);
    return outcome;
  }

  #execute(request: Request): Outcome | Promise<Outcome> {
    if (request.fault !== undefined) return refusal(new VstoreError("ERR", request.fault));
    return execute(this.#context(request), request.name, request.args);
  }

  async #followUp(request: Request, collection: string): Promise<void> {
    // Before Redis knows of the collection: a follower that takes over must have it then.
    const creates = creating.has(request.name);
    if (creates) await this.#progress.tell();
    await this.restoreLog(collection);
    if (creates) await this.#follows.restore();
    if (creates) await restoreMarks(this.#redis, this.#reads, this.#catalog);
    if (request.name === "DROP" && !this.#exists(collection)) await this.#forget(request, collection);
  }

  async #forget(request: Request, collection: string): Promise<void> {
    await forgetFollow(this.#redis, collection);
    const remains = this.#catalog.remains.of(request.id);
    await forgetCollection(this.#redis, collection, remains && this.#streamOfDrop(request, remains));
    this.#drops.begin(request.id);
  }

  /** Takes the log while the values end. Undefined where no value ends. */
  #streamOfDrop(request: Request, dropped: Collection | Remains | undefined): string | undefined {
    const isCache = dropped instanceof Remains || dropped?.options.cache !== undefined;
    if (!isCache || !this.#drops.isProven(request)) return undefined;
    return droppedStream(dropped.name, dropped.createdId);
  }

  /** Damaged ones exist too. */
  #exists(collection: string): boolean {
    return this.#catalog.has(collection);
  }
}

function byCollection(requests: readonly Request[]): [string, Request[]][] {
  const groups = new Map<string, Request[]>();
  for (const request of requests) {
    const collection = request.collection;
    const group = groups.get(collection);
    if (group === undefined) groups.set(collection, [request]);
    else group.push(request);
  }
  return [...groups];
}

function logWasMissing(collection: string): Outcome {
  const what = `the log of collection '${collection}' was not in Redis when this was sent, and is now; nothing was changed`;
  return refusal(new VstoreError("TRYAGAIN", what));
}
