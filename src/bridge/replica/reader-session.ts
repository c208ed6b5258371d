/**
 * One connected lifetime beside a replica: a connection that waits in VSTORE.FETCH for reads, and one that answers and
 * says every second that the sidecar is there. What is fetched goes the way of every read; only the queue that it comes
 * from is another one, as a replica must change no key.
 */
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import type { Redis } from "ioredis";
import { commands } from "../../commands/registry.ts";
import { decodeToken } from "../../commands/token.ts";
import type { Catalog } from "../../engine/catalog.ts";
import { TimeSlice, TURN_MS_MAX } from "../../engine/time-slice.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { Logger } from "../../log.ts";
import { LogTimelines } from "../logs/timelines.ts";
import { connect } from "../redis/connection.ts";
import { collectionsKey } from "../redis/keys.ts";
import { joinLargeValues } from "../redis/large-values.ts";
import { outputLimitOf } from "../redis/output-limit.ts";
import { checkServer } from "../redis/server.ts";
import { Answers, refusal } from "../requests/answers.ts";
import { pollBusily } from "../requests/busy-poll.ts";
import { timeOf } from "../requests/moment.ts";
import { Outbox } from "../requests/outbox.ts";
import { AsOfWaits } from "../requests/reads/as-of-waits.ts";
import { Reads } from "../requests/reads/reads.ts";
import { refusalsOf } from "../requests/refusals.ts";
import { Releases } from "../requests/releases.ts";
import type { Request } from "../requests/request.ts";
import { isWrite } from "../requests/routing.ts";
import { XreadConnection } from "../requests/xread/connection.ts";
import type { UnexpectedErrors } from "../session/unexpected-errors.ts";
import type { Watch } from "../watch/watch.ts";
import { isLinkUp, sourceOf } from "./primary.ts";

/** How often the sidecar says that it is there, and for how long the module believes it. */
const beatMs = 1_000;
const attachMs = 5_000;
/** One fetch: entries, their bytes, and how long it waits for the first of them. */
const fetchCount = 1_024;
const fetchBytes = 16 * 1024 * 1024;
const fetchWaitMs = 1_000;
/** While reads wait for their token, how often it is looked whether it is reached. */
const recheckMs = 5;
/** Reads whose token names a timeline that is not known yet, and how often that is looked up. */
const unknownTimelinesMax = 1_024;
const timelineMs = 50;

export interface ReaderSessionOptions {
  /** Of the replica. */
  readonly url: string;
  readonly sidecarId: string;
  /** The server that it replicates. */
  readonly source: string;
  readonly busyPollUs: number;
  /** The files that answer; undefined while they are not in step. */
  readonly catalog: () => Catalog | undefined;
  readonly onAttached: () => void;
  /** What VSTORE.INFO tells of the follower. */
  readonly facts: () => Readonly<Record<string, number>>;
  readonly log: Logger;
  readonly errors: UnexpectedErrors;
  readonly watch: Watch;
}

export class ReaderSession {
  readonly #options: ReaderSessionOptions;
  readonly #fetcher: Redis;
  readonly #answerer: Redis;
  readonly #outbox: Outbox;
  readonly #timelines = new LogTimelines();
  readonly #ended = new AbortController();
  readonly #recheck: NodeJS.Timeout;
  #fetchBytes = fetchBytes;
  #reads: Reads | undefined;
  #asOfWaits: AsOfWaits | undefined;
  #unknownTimelines = 0;
  /** Whether the replica has had the primary's data set: before that it lacks values and timelines. */
  #hasData = false;

  /** @throws Error that says why the replica cannot be reached, or has not loaded the module */
  static async open(options: ReaderSessionOptions): Promise<ReaderSession> {
    const answerer = await connect(options.url, "vstore-answerer");
    try {
      await checkServer(answerer);
      const fetcher = await connect(options.url, "vstore-fetcher");
      for (const redis of [answerer, fetcher]) joinLargeValues(redis);
      return new ReaderSession(options, fetcher, answerer);
    } catch (error) {
      answerer.disconnect();
      throw error;
    }
  }

  private constructor(options: ReaderSessionOptions, fetcher: Redis, answerer: Redis) {
    this.#options = options;
    this.#fetcher = fetcher;
    this.#answerer = answerer;
    this.#outbox = new Outbox(answerer, answerer, options.log);
    for (const redis of [fetcher, answerer])
      redis.once("close", () => this.end(new Error("the connection to the replica was lost")));
    this.#recheck = setInterval(() => {
      if (this.#asOfWaits?.any) this.#asOfWaits.recheck();
    }, recheckMs);
  }

  end(reason: Error): void {
    this.#ended.abort(reason);
    this.#fetcher.disconnect();
  }

  /** Resolves when the Redis is no replica of that server any more. @throws what ended the session */
  async run(): Promise<void> {
    const limit = await outputLimitOf(this.#answerer);
    if (limit > 0) this.#fetchBytes = Math.max(1, Math.min(fetchBytes, Math.floor(limit / 2)));
    while (await this.#isReplica()) {
      const catalog = this.#options.catalog();
      // Once only: reads go on when the primary is gone.
      this.#hasData ||= await isLinkUp(this.#answerer);
      if (catalog !== undefined && this.#hasData) {
        await this.#timelines.read(this.#answerer);
        await this.#answerer.call("VSTORE.ATTACH", "READER", this.#options.sidecarId, attachMs);
        if (this.#reads === undefined) this.#begin(catalog);
      }
      await delay(beatMs, undefined, { signal: this.#ended.signal }).catch(() => {});
      if (this.#ended.signal.aborted) throw this.#ended.signal.reason;
    }
  }

  /** Nothing is answered any more. */
  async close(): Promise<void> {
    clearInterval(this.#recheck);
    this.#reads?.forget();
    this.end(new Error("the session is over"));
    await this.#answerer.call("VSTORE.ATTACH", "READER", this.#options.sidecarId, 0).catch(() => {});
    this.#answerer.disconnect();
  }

  async #isReplica(): Promise<boolean> {
    return (await sourceOf(this.#answerer, this.#options.url)) === this.#options.source;
  }

  #begin(catalog: Catalog): void {
    const { errors, watch, busyPollUs, onAttached } = this.#options;
    const database = this.#answerer.options.db ?? 0;
    this.#asOfWaits = new AsOfWaits(catalog, limits.asOfWaitMsMax, this.#timelines);
    const reads = new Reads({
      catalog,
      answers: new Answers(this.#outbox, watch.tally, new Releases(this.#outbox, [])),
      outbox: this.#outbox,
      asOfWaits: this.#asOfWaits,
      context: (request, answerRoom) => ({
        catalog,
        id: request.id,
        time: timeOf(request, catalog.clock()),
        database,
        canShowValues: true,
        logFacts: (name) => (name === undefined ? this.#options.facts() : {}),
        refusals: (name) => refusalsOf(this.#answerer, this.#outbox, name),
        answerRoom,
        timelines: this.#timelines,
        onUnexpectedError: (error, command) => errors.report(error, { command }),
      }),
      isWanted: async ({ id }) =>
        (await this.#answerer.call("VSTORE.FETCH", this.#options.sidecarId, "WANTED", id)) === 1,
    });
    this.#reads = reads;
    onAttached();
    this.#serve(catalog, reads, busyPollUs).catch((error: Error) => this.end(error));
  }

  async #serve(catalog: Catalog, reads: Reads, busyPollUs: number): Promise<void> {
    const connection = new XreadConnection(this.#fetcher, () => undefined);
    const words = [this.#options.sidecarId, fetchCount, this.#fetchBytes, fetchWaitMs];
    const fetch = () => connection.read(words, "VSTORE.FETCH");
    for (let next = fetch(); ; ) {
      const requests = (await next).flatMap((each) => each.requests);
      await this.#outbox.room();
      const slice = new TimeSlice(TURN_MS_MAX);
      for (const request of requests) {
        this.#start(catalog, reads, request);
        if (slice.spent) await slice.pause();
      }
      await nextTurn(); // the answers leave first
      next = fetch();
      if (requests.length > 0) pollBusily(next, busyPollUs);
    }
  }

  #start(catalog: Catalog, reads: Reads, request: Request): void {
    if (this.#isUnknown(catalog, request)) void this.#startLater(catalog, reads, request);
    else reads.start(request, faultOf(request));
  }

  /** Whether the replica has to be asked, because the files lack what the request is about. */
  #isUnknown(catalog: Catalog, request: Request): boolean {
    const isAbout = commands.get(request.name)?.route === "queries" && request.collection !== "";
    return isAbout && (!catalog.has(request.collection) || this.#hasUnknownTimeline(request));
  }

  #hasUnknownTimeline({ name, collection, args }: Request): boolean {
    const bytes = commands.get(name)?.args.asOf?.(args);
    if (bytes === undefined) return false;
    try {
      const { timeline } = decodeToken(collection, bytes);
      const { current } = this.#timelines;
      return timeline !== current && this.#timelines.endOf(collection, timeline) === undefined;
    } catch {
      return false; // what is wrong with it is for the command to say
    }
  }

  /** A collection may not be here yet, and the timeline of a token not at the replica. */
  async #startLater(catalog: Catalog, reads: Reads, request: Request): Promise<void> {
    const { collection } = request;
    try {
      await this.#untilTimelineIsKnown(request);
      const isElsewhere =
        !catalog.has(collection) && (await this.#answerer.hexists(collectionsKey, collection)) === 1;
      if (isElsewhere) reads.refuse(request, refusal(notHere(collection)));
      else reads.start(request, faultOf(request));
    } catch (error) {
      this.end(error as Error);
    }
  }

  async #untilTimelineIsKnown(request: Request): Promise<void> {
    if (this.#unknownTimelines >= unknownTimelinesMax) return;
    this.#unknownTimelines++;
    const until = performance.now() + limits.asOfWaitMsMax;
    try {
      while (this.#hasUnknownTimeline(request) && performance.now() < until) {
        await this.#timelines.read(this.#answerer);
        if (this.#hasUnknownTimeline(request)) await delay(timelineMs);
      }
    } finally {
      this.#unknownTimelines--;
    }
  }
}

function faultOf(request: Request): string | undefined {
  return isWrite(request) ? `VSTORE.${request.name} is no read` : request.fault;
}

function notHere(collection: string): VstoreError {
  const what = `collection '${collection}' is not at the sidecar of this replica yet; ask again, or the primary`;
  return new VstoreError("TRYAGAIN", what);
}
