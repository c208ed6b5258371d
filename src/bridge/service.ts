/**
 * What serves during one session, put together. The order is the contract of PROTOCOL.md: with the lease in hand
 * reconcile, replay, and only then attach; on the way out detach, answer what is there still, and leave.
 */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Catalog } from "../engine/catalog.ts";
import type { Logger } from "../log.ts";
import { Answers } from "./answers.ts";
import { Checkpointer } from "./checkpointer.ts";
import { connect } from "./connection.ts";
import { Control } from "./control.ts";
import type { Request } from "./frame.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Lease } from "./lease.ts";
import { Loop } from "./loop.ts";
import { Outbox } from "./outbox.ts";
import { Reader } from "./reader.ts";
import { endsOfDamaged, reconcile } from "./reconcile.ts";
import { Schedule } from "./schedule.ts";
import type { Session } from "./session.ts";
import { Sources } from "./sources.ts";
import { Trimmer } from "./trimmer.ts";
import { Writes } from "./writes.ts";

/** Time for the last answers once a stop was asked for. */
const drainMsMax = 10_000;
/** BullMQ's own shutdown may hang when its connections have died. */
const scheduleStopMsMax = 2_000;

export interface ServiceOptions {
  readonly url: string;
  readonly sidecarId: string;
  readonly checkpointIntervalMs: number;
  /** Bytes of log applied since the last checkpoint that bring the next one forward. */
  readonly checkpointLogBytes: number;
  readonly log: Logger;
}

export class Service {
  readonly #session: Session;
  readonly #catalog: Catalog;
  readonly #options: ServiceOptions;
  readonly #heartbeat: Heartbeat;
  readonly #checkpointer: Checkpointer;
  readonly #outbox: Outbox;
  #loop: Loop | undefined;
  #schedule: Schedule | undefined;

  constructor(session: Session, lease: Lease, catalog: Catalog, options: ServiceOptions) {
    this.#session = session;
    this.#catalog = catalog;
    this.#options = options;
    this.#heartbeat = new Heartbeat(session, lease, options.sidecarId);
    this.#checkpointer = new Checkpointer(catalog, options.checkpointLogBytes, options.log);
    this.#outbox = new Outbox(session.writer, options.log);
  }

  /** Resolves when clients are served. */
  async start(): Promise<void> {
    const { writer } = this.#session;
    const trimmer = new Trimmer(writer, this.#catalog);
    this.#heartbeat.everyBeat(() => trimmer.trim());
    this.#heartbeat.start();
    await reconcile(writer, this.#catalog, this.#options.log);
    this.#loop = this.#createLoop(new Sources(this.#catalog, await endsOfDamaged(writer, this.#catalog)));
    await this.#loop.catchUp();
    await this.#heartbeat.attach();
  }

  /** Resolves once `stop` was aborted and the last answer is sent; rejects when the session ends before. */
  async run(stop: AbortSignal): Promise<void> {
    const drain = () => void this.#drain().catch((error) => this.#session.end(error));
    stop.addEventListener("abort", drain, { once: true });
    const scheduling = this.#startSchedule();
    try {
      if (stop.aborted) drain();
      await this.#loop?.run();
      // A long read, such as BUILD WAIT, is abandoned when the time for the last answers is over.
      await Promise.race([this.#loop?.idle(), once(this.#session.signal, "abort")]);
      await this.#outbox.flushed();
    } finally {
      stop.removeEventListener("abort", drain);
      const stopped = scheduling.then(() => this.#schedule?.stop());
      await Promise.race([stopped, delay(scheduleStopMsMax, undefined, { ref: false })]);
    }
  }

  async #drain(): Promise<void> {
    const limit = setTimeout(
      () => this.#session.end(new Error("the last answers took too long")),
      drainMsMax,
    );
    limit.unref();
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
      const run = (collection: string) => this.#checkpointer.checkpoint(collection);
      this.#schedule = new Schedule(redis, checkpointIntervalMs, run, log);
      await this.#schedule.start(this.#usableNames());
    } catch (error) {
      if (!this.#session.signal.aborted)
        log.warn({ error: (error as Error).message }, "no checkpoint schedule");
    }
  }

  #usableNames(): string[] {
    return this.#catalog.collections().map((each) => each.name);
  }

  #createLoop(sources: Sources): Loop {
    const { writer, reader } = this.#session;
    const { log } = this.#options;
    const answers = new Answers(this.#outbox);
    const context = ({ id }: Request) => ({
      catalog: this.#catalog,
      id,
      onUnexpectedError: (error: unknown, command: string) =>
        log.error({ err: error, command }, "unexpected error"),
    });
    return new Loop({
      reader: new Reader(reader, sources),
      writes: new Writes(this.#catalog, answers, context, (...applied) =>
        this.#checkpointer.count(...applied),
      ),
      control: new Control(writer, this.#catalog, answers, context, log),
      answers,
      outbox: this.#outbox,
      context,
      onCatalogChange: () => {
        sources.follow();
        this.#schedule?.follow(this.#usableNames());
      },
    });
  }
}
