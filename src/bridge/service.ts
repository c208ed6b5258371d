/**
 * What serves during one session, put together. The order is the contract of PROTOCOL.md: with the lease in hand
 * reconcile, replay, and only then attach; on the way out detach, answer what is there still, and leave.
 */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Catalog } from "../engine/catalog.ts";
import type { Logger, LogLevel } from "../log.ts";
import { Follows } from "./follow/follows.ts";
import { Ingestion, type IngestSettings } from "./ingest/ingestion.ts";
import type { LogLosses } from "./logs/losses.ts";
import { Obstructions } from "./logs/obstructions.ts";
import { endsOfDamaged, reconcile } from "./logs/reconcile.ts";
import { connect } from "./redis/connection.ts";
import { Answers } from "./requests/answers.ts";
import { Control } from "./requests/control.ts";
import { Loop } from "./requests/loop.ts";
import { Outbox } from "./requests/outbox.ts";
import { Reader } from "./requests/reader.ts";
import { Values } from "./requests/redis-values.ts";
import type { Request } from "./requests/request.ts";
import { Sources, usable } from "./requests/sources.ts";
import { Writes } from "./requests/writes.ts";
import type { Heartbeat } from "./session/heartbeat.ts";
import type { Session } from "./session/session.ts";
import { Checkpointer } from "./upkeep/checkpointer.ts";
import { Compactions } from "./upkeep/compactions.ts";
import { Schedule } from "./upkeep/schedule.ts";
import { Sweeps } from "./upkeep/sweeps.ts";
import { Trimmer } from "./upkeep/trimmer.ts";

/** Time for the last answers once a stop was asked for. */
const drainMsMax = 10_000;
/** BullMQ's own shutdown may hang when its connections have died. */
const scheduleStopMsMax = 2_000;

export interface ServiceOptions {
  readonly url: string;
  readonly checkpointIntervalMs: number;
  /** Bytes of log applied since the last checkpoint that bring the next one forward. */
  readonly checkpointLogBytes: number;
  /** How long the next request is polled for before the process sleeps, in microseconds. */
  readonly busyPollUs: number;
  readonly ingest: IngestSettings;
  readonly log: Logger;
}

export class Service {
  readonly #session: Session;
  readonly #catalog: Catalog;
  readonly #options: ServiceOptions;
  readonly #losses: LogLosses;
  readonly #heartbeat: Heartbeat;
  readonly #trimmer: Trimmer;
  readonly #checkpointer: Checkpointer;
  readonly #outbox: Outbox;
  readonly #follows: Follows;
  #loop: Loop | undefined;
  #schedule: Schedule | undefined;
  #compactions: Compactions | undefined;
  #sweeps: Sweeps | undefined;
  #ingestion: Ingestion | undefined;

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
    this.#trimmer = new Trimmer(session.writer, catalog);
    this.#checkpointer = new Checkpointer(catalog, {
      logBytesMax: options.checkpointLogBytes,
      intervalMs: options.checkpointIntervalMs,
      log: options.log,
      afterwards: () => this.#trimmer.trim(),
    });
    this.#outbox = new Outbox(session.writer, options.log);
    this.#follows = new Follows(session.writer, catalog, options.log, session.signal);
  }

  /** Resolves when clients are served. */
  async start(): Promise<void> {
    const { writer } = this.#session;
    this.#heartbeat.everyBeat(() => this.#trimmer.trim());
    this.#heartbeat.everyBeat(() => this.#checkpointer.catchUp());
    this.#heartbeat.everyBeat(async () => this.#sweeps?.follow());
    await reconcile(writer, this.#catalog, this.#losses);
    await this.#follows.restore();
    this.#loop = this.#createLoop(new Sources(this.#catalog, await endsOfDamaged(writer, this.#catalog)));
    await this.#loop.catchUp();
    await this.#heartbeat.attach();
  }

  /** Resolves once `stop` was aborted and the last answer is sent; rejects when the session ends before. */
  async run(stop: AbortSignal): Promise<void> {
    const drain = () => void this.#drain().catch((error) => this.#session.end(error));
    stop.addEventListener("abort", drain, { once: true });
    const scheduling = this.#startSchedule();
    const { url, ingest, log } = this.#options;
    this.#ingestion = new Ingestion({ ...ingest, url, logLevel: log.level as LogLevel }, log);
    try {
      if (stop.aborted) drain();
      await this.#loop?.run();
      // A long read, such as BUILD WAIT, is abandoned when the time for the last answers is over.
      await Promise.race([this.#loop?.idle(), once(this.#session.signal, "abort")]);
      await this.#outbox.flushed();
    } finally {
      stop.removeEventListener("abort", drain);
      const stopped = scheduling.then(() => this.#stopSchedule());
      const scheduleEnd = Promise.race([stopped, delay(scheduleStopMsMax, undefined, { ref: false })]);
      await Promise.all([scheduleEnd, this.#ingestion.stop()]);
    }
  }

  async #drain(): Promise<void> {
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

  async #startSchedule(): Promise<void> {
    const { url, checkpointIntervalMs, log } = this.#options;
    try {
      const redis = await connect(url, "vstore-bullmq", {
        enableOfflineQueue: true,
        socketTimeout: undefined,
      });
      this.#compactions = new Compactions(redis, this.#catalog, log);
      this.#sweeps = new Sweeps(redis, this.#session.writer, this.#catalog, log);
      const run = (collection: string) => this.#checkpointAndTidy(collection);
      this.#schedule = new Schedule(redis, checkpointIntervalMs, run, log);
      await this.#schedule.start(this.#usableNames());
    } catch (error) {
      if (!this.#session.signal.aborted)
        log.warn({ error: (error as Error).message }, "no checkpoint schedule");
    }
  }

  /** The schedule last: the connection that all of them use goes with it. */
  async #stopSchedule(): Promise<void> {
    await Promise.all([this.#compactions?.stop(), this.#sweeps?.stop()]);
    await this.#schedule?.stop();
  }

  /** Whether dead slots have become too many is looked at when the files are safe anyway. */
  async #checkpointAndTidy(name: string): Promise<void> {
    await this.#checkpointer.checkpoint(name);
    const collection = usable(this.#catalog, name);
    if (collection !== undefined) await this.#compactions?.offer(collection);
  }

  #usableNames(): string[] {
    return this.#catalog.collections().map((each) => each.name);
  }

  #createLoop(sources: Sources): Loop {
    const { writer, reader } = this.#session;
    const { log, url } = this.#options;
    const values = new Values(url, this.#session.signal);
    const answers = new Answers(this.#outbox);
    const obstructions = new Obstructions(reader, log);
    const database = writer.options.db ?? 0;
    const context = ({ id }: Request) => ({
      catalog: this.#catalog,
      id,
      database,
      logFacts: (name?: string) => ({
        ...this.#losses.facts(name),
        ...obstructions.facts(name),
        ...this.#follows.facts(name),
      }),
      values: values.read.bind(values),
      onUnexpectedError: (error: unknown, command: string) =>
        log.error({ err: error, command }, "unexpected error"),
    });
    return new Loop({
      reader: new Reader(reader, sources, obstructions),
      writes: new Writes(this.#catalog, answers, context, (...applied) =>
        this.#checkpointer.count(...applied),
      ),
      control: new Control(writer, this.#catalog, answers, context, this.#losses, this.#follows),
      answers,
      outbox: this.#outbox,
      busyPollUs: this.#options.busyPollUs,
      context,
      assertLeader: () => this.#heartbeat.assertLeader(),
      onCatalogChange: () => {
        sources.follow();
        this.#schedule?.follow(this.#usableNames());
      },
    });
  }
}
