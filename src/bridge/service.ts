/**
 * Serves during one session. The order is the contract of PROTOCOL.md: once the lease is held it reconciles, replays,
 * and only then attaches; at the end it detaches, answers the requests that are still there, and leaves.
 */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Catalog } from "../engine/catalog.ts";
import type { LogLevel } from "../log.ts";
import { Follows } from "./follow/follows.ts";
import { LeaderProgress } from "./followers/progress.ts";
import { Ingestion, type IngestSettings } from "./ingest/ingestion.ts";
import type { LogLosses } from "./logs/losses.ts";
import { reconcile } from "./logs/reconcile.ts";
import { LogTimelines } from "./logs/timelines.ts";
import { promoteKey } from "./redis/keys.ts";
import { outputLimitFault } from "./redis/output-limit.ts";
import type { Loop } from "./requests/loop.ts";
import { Outbox } from "./requests/outbox.ts";
import { createLoop, type RequestWay } from "./requests/serving.ts";
import { assertClocksAgree } from "./session/clocks.ts";
import type { Heartbeat } from "./session/heartbeat.ts";
import { LoopTurns } from "./session/loop-turns.ts";
import type { Session } from "./session/session.ts";
import type { UnexpectedErrors } from "./session/unexpected-errors.ts";
import { restoreMarks } from "./shards/marks.ts";
import { Upkeep, type UpkeepOptions } from "./upkeep/upkeep.ts";
import type { Watch } from "./watch/watch.ts";

/** Time for the last answers once a stop was requested. */
const drainMsMax = 10_000;
/** At a hand-over, time for the reads under way; the next leader begins anew with the others. */
const lastReadsMsMax = 200;

export interface ServiceOptions extends UpkeepOptions {
  /** How long to poll for the next request before the process sleeps, in microseconds. */
  readonly busyPollUs: number;
  /** How long a part of a collection may take to answer. */
  readonly partTimeoutMs: number;
  /** How many followers have to apply a write before it is answered. */
  readonly syncFollowers: number;
  readonly ingest: IngestSettings;
  readonly errors: UnexpectedErrors;
  readonly watch: Watch;
}

export class Service {
  readonly #session: Session;
  readonly #catalog: Catalog;
  readonly #options: ServiceOptions;
  readonly #losses: LogLosses;
  readonly #heartbeat: Heartbeat;
  readonly #outbox: Outbox;
  readonly #follows: Follows;
  readonly #upkeep: Upkeep;
  readonly #progress: LeaderProgress;
  readonly #timelines = new LogTimelines();
  readonly #turns = new LoopTurns();
  #loop: Loop | undefined;
  #ingestion: Ingestion | undefined;
  #jobsStopped: Promise<unknown> | undefined;
  #isHandingOver = false;

  /** @param heartbeat beats since the lease was taken */
  constructor(
    session: Session,
    heartbeat: Heartbeat,
    catalog: Catalog,
    losses: LogLosses,
    options: ServiceOptions,
  ) {
    this.#session = session;
    this.#catalog = catalog;
    this.#losses = losses;
    this.#options = options;
    this.#heartbeat = heartbeat;
    this.#outbox = new Outbox(session.writer, session.answerer, options.log);
    this.#follows = new Follows(session, catalog, options.log);
    this.#upkeep = new Upkeep(session, catalog, options);
    this.#progress = new LeaderProgress(session.writer, catalog);
  }

  /**
   * Resolves when clients are served.
   *
   * @param catchUpMsMax for what is in the streams, where requests come all the time; without it all of that
   */
  async start(catchUpMsMax?: number): Promise<void> {
    await this.#upkeep.followers.look(); // before the first trim
    this.#upkeep.beatWith(this.#heartbeat);
    await assertClocksAgree(this.#session.writer, this.#catalog.clock);
    await this.#catalog.control.rememberProofKey(this.#session.proofKey); // before anything is believed because of it
    const { loop, endings, context } = await this.#createLoop();
    const { writer, answerer, runId } = this.#session;
    const beginTimeline = () => this.#timelines.begin(writer, answerer, this.#catalog, runId);
    await reconcile(writer, this.#catalog, this.#losses, loop, beginTimeline);
    await this.#follows.restore();
    await restoreMarks(writer, answerer, this.#catalog);
    await this.#catalog.forgetArrivals();
    this.#loop = loop;
    const fault = await outputLimitFault(this.#session.writer);
    if (fault !== undefined) this.#options.log.warn(fault);
    await loop.catchUp(catchUpMsMax);
    endings.resume(); // the DROPs that a crash has cut short are complete now
    await this.#progress.tell();
    this.#heartbeat.everyBeat(() => this.#progress.tell(this.#upkeep.followers.any));
    this.#heartbeat.everyBeat(() => this.#heedPromotion());
    await this.#heartbeat.attach();
    this.#options.watch.began({ url: this.#options.url, catalog: this.#catalog, context });
  }

  /** Resolves once `stop` was aborted and the last answer is sent; rejects when the session ends before. */
  async run(stop: AbortSignal): Promise<void> {
    const drain = () => void this.#drain().catch((error) => this.#session.end(error));
    stop.addEventListener("abort", drain, { once: true });
    const { url, ingest, log } = this.#options;
    this.#upkeep.start();
    this.#turns.start();
    const options = { ...ingest, url, logLevel: log.level as LogLevel };
    this.#ingestion = new Ingestion(this.#session.answerer, options, log);
    try {
      if (stop.aborted) drain();
      await this.#loop?.run();
      // A long read, such as BUILD WAIT, is abandoned when the time for the last answers is over.
      const idle = [this.#loop?.idle(), once(this.#session.signal, "abort")];
      await Promise.race(this.#isHandingOver ? [...idle, delay(lastReadsMsMax)] : idle);
      await this.#outbox.flushed();
      if (this.#isHandingOver) await this.#giveLeadUp();
    } finally {
      stop.removeEventListener("abort", drain);
      this.#loop?.forgetReads();
      this.#turns.stop();
      await this.#stopJobs();
    }
  }

  #stopJobs(): Promise<unknown> {
    this.#jobsStopped ??= Promise.all([this.#upkeep.stop(), this.#ingestion?.stop()]);
    return this.#jobsStopped;
  }

  /** Whether it has given the lead to a follower, and should not ask for it at once. */
  get hasHandedOver(): boolean {
    return this.#isHandingOver;
  }

  /** What followers are told last is all that was answered. */
  async #giveLeadUp(): Promise<void> {
    await this.#progress.tell(true);
    this.#options.log.info("handed over to a follower");
    await this.#heartbeat.release();
  }

  /**
   * Stops serving while requests wait for the next leader, if a follower is in step that may lead. Jobs end before, so
   * that no client waits for them.
   */
  async #handOver(): Promise<boolean> {
    if (this.#isHandingOver) return true;
    if ((await this.#heartbeat.heirs()) === 0) return false;
    await this.#stopJobs();
    this.#isHandingOver = (await this.#heartbeat.handOver()) > 0;
    if (!this.#isHandingOver) return false;
    await this.#heartbeat.stop();
    this.#loop?.halt();
    return true;
  }

  /** `vstore promote` has asked for it. While no follower is ready the wish stays, until it expires. */
  async #heedPromotion(): Promise<void> {
    const { answerer, writer } = this.#session;
    if ((await answerer.get(promoteKey)) === null) return;
    const { role, log } = this.#options;
    if (role === "auto" && (await this.#heartbeat.heirs()) === 0) return;
    await writer.del(promoteKey);
    if (role !== "auto")
      log.warn("asked to hand over, and does not: it would not follow; run it with --role auto");
    else if (!(await this.#handOver())) throw new Error("the follower that was to take over is gone");
  }

  async #drain(): Promise<void> {
    if (await this.#handOver()) return;
    const limit = setTimeout(
      () => this.#session.end(new Error("the last answers took too long")),
      drainMsMax,
    );
    limit.unref();
    await this.#ingestion?.stop(); // first, as it is one of the clients that are still to be answered
    await this.#heartbeat.detach();
    this.#loop?.stop();
    await this.#session.wakeReader();
  }

  #createLoop(): Promise<RequestWay> {
    return createLoop({
      session: this.#session,
      url: this.#options.url,
      catalog: this.#catalog,
      losses: this.#losses,
      follows: this.#follows,
      progress: this.#progress,
      followers: this.#upkeep.followers,
      timelines: this.#timelines,
      outbox: this.#outbox,
      partTimeoutMs: this.#options.partTimeoutMs,
      busyPollUs: this.#options.busyPollUs,
      isAcknowledged: this.#options.syncFollowers > 0,
      log: this.#options.log,
      errors: this.#options.errors,
      watch: this.#options.watch,
      turns: this.#turns,
      assertLeader: () => this.#heartbeat.assertLeader(),
      onApplied: (collection, bytes) => this.#upkeep.count(collection, bytes),
    });
  }
}
