/**
 * The sidecar: one session after the other, for as long as the process lives.
 *
 *   connecting → standby (another sidecar holds the lease) → starting → serving
 *
 * When a session ends, the sidecar connects again after a pause that doubles up to a limit. It logs each change once,
 * however often the attempts repeat.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Catalog } from "../engine/catalog.ts";
import { VstoreError } from "../errors.ts";
import { Candidacy, type CandidacyOptions } from "./followers/candidacy.ts";
import { Following, inStep } from "./followers/following.ts";
import { checkFiles } from "./logs/belonging.ts";
import { LogLosses } from "./logs/losses.ts";
import { namesCluster, namesSentinels, publicUrl } from "./redis/address.ts";
import { serverOf } from "./redis/connection.ts";
import { closedConnections, outputLimitOf } from "./redis/output-limit.ts";
import { type Place, placeInReplication } from "./replica/primary.ts";
import { ReplicaReads } from "./replica/replica-reads.ts";
import { Service, type ServiceOptions } from "./service.ts";
import { Heartbeat } from "./session/heartbeat.ts";
import { Lease, sendAttach } from "./session/lease.ts";
import { SentinelWatch } from "./session/sentinel-watch.ts";
import { isConnectionLoss, Session } from "./session/session.ts";

const backOffMsMin = 100;
/** Shorter than the time for which a new primary waits for the leader of the old one. */
const backOffMsMax = 500;
/** A primary in whose place the Sentinels have named another one: how long it may be silent, and between two looks. */
const primarySilenceMsMax = 500;
const primaryLookMs = 1_000;
const standbyPollMs = 1_000;
/** While it waits for other followers, as clients do for a leader. */
const candidatePollMs = 100;
/** After it has handed over it leaves the lead to others for so long. */
const yieldMs = 5_000;
/** Requests that wait at a hand-over are served for so long before the sidecar attaches. */
const catchUpMsMax = 500;

export interface SidecarOptions extends ServiceOptions, CandidacyOptions {
  readonly sidecarId: string;
  /** Opens the files, or returns the open ones. Called while this sidecar holds the lease, or follows. */
  readonly catalog: () => Promise<Catalog>;
  /** Called before each attempt to connect. */
  readonly beforeConnect?: () => Promise<void>;
  /** Called each time that clients are served (again). */
  readonly onServing?: () => void;
}

export class Sidecar {
  readonly #options: SidecarOptions;
  readonly #stop: AbortSignal;
  readonly #losses: LogLosses;
  readonly #candidacy: Candidacy;
  #lastReport = "";
  /** Of this session or the one before; empty before the first. */
  #lastLease = "";
  /** Of the server that a session has lost a connection to; empty after any other end. */
  #lostRunId = "";
  #backOffMs = backOffMsMin;
  #yieldsUntil = 0;
  /** Of the primary of this session. */
  #url: string;
  /** Where the sidecar's Redis stands among others; undefined before that was seen. */
  #place: Place | undefined;
  readonly #replicaReads: ReplicaReads;
  /** The one that is under way. */
  #session: Session | undefined;
  /** What this sidecar does as a follower, while it is one. */
  #following: Following | undefined;
  /** Ends the pause before the next session. */
  #hurry = new AbortController();

  constructor(options: SidecarOptions, stop: AbortSignal) {
    this.#options = options;
    this.#stop = stop;
    this.#losses = new LogLosses(options.log);
    this.#candidacy = new Candidacy(options);
    this.#url = options.url;
    const { url, sidecarId, busyPollUs, log, errors, watch } = options;
    const onServing = () => options.onServing?.();
    const facts = () => this.#following?.facts() ?? {};
    this.#replicaReads = new ReplicaReads({
      url,
      sidecarId,
      busyPollUs,
      log,
      errors,
      watch,
      onServing,
      facts,
    });
  }

  /** Resolves once `stop` was aborted. @throws VstoreError when the files cannot be opened */
  async run(): Promise<void> {
    const sentinels = new SentinelWatch(this.#options.url, this.#options.log);
    sentinels.onSwitched = (host, port) => void this.#leaveFor(host, port);
    try {
      await this.#runSessions();
    } finally {
      await sentinels.stop();
      await this.#replicaReads.stop();
    }
  }

  /**
   * The Sentinels name that primary. After SENTINEL FAILOVER the old one goes on as one for some ten seconds, and so
   * do the clients that are connected to it; the demotion then closes all connections. One that is silent is left.
   */
  async #leaveFor(host: string, port: number): Promise<void> {
    this.#hurry.abort();
    const session = this.#session;
    if (session === undefined || session.isWith(host, port)) return;
    while (!session.signal.aborted) {
      if (!(await session.isWithPrimary(primarySilenceMsMax)))
        session.end(new Error("the Sentinels name another primary, and this one is silent"));
      await this.#pause(primaryLookMs);
    }
  }

  async #runSessions(): Promise<void> {
    while (!this.#stop.aborted) {
      try {
        await this.#oneSession();
      } catch (error) {
        if (error instanceof UnusableFiles) throw error.cause;
        if (!this.#stop.aborted) this.#report("warn", `not serving: ${reasonOf(error as Error)}`);
      }
      this.#session = undefined;
      await this.#backOff();
    }
  }

  /** No pause after a hand-over, and where Sentinels have named another primary since the session began. */
  async #backOff(): Promise<void> {
    const isHurried = this.#hurry.signal.aborted;
    await this.#pause(isHurried ? 0 : this.#backOffMs, this.#hurry.signal);
    this.#backOffMs = isHurried ? backOffMsMin : Math.min(2 * this.#backOffMs, backOffMsMax);
    this.#hurry = new AbortController();
  }

  async #oneSession(): Promise<void> {
    await this.#options.beforeConnect?.();
    await this.#findPrimary();
    const session = await Session.open(this.#url);
    this.#session = session;
    this.#replicaReads.onMoved = () =>
      session.end(new Error("the Redis of this sidecar has another role now"));
    await this.#countClosed(session);
    const end = () => session.end(new Error("stopped"));
    this.#stop.addEventListener("abort", end);
    this.#options.errors.watch((reason) => session.end(reason));
    try {
      const lease = await this.#takeLease(session);
      if (lease === undefined) return;
      try {
        this.#lastLease = lease.text;
        await session.join(lease.text);
        await this.#serve(session, lease, () => this.#stop.removeEventListener("abort", end));
      } finally {
        await lease.release().catch(() => {});
      }
    } catch (error) {
      // While an earlier session is still attached, clients would wait for answers that never come.
      await sendAttach(session.answerer, this.#lastLease, false).catch(() => {});
      const reason = session.signal.aborted ? session.signal.reason : error;
      if (isConnectionLoss(reason)) this.#lostRunId = session.runId;
      throw reason;
    } finally {
      this.#stop.removeEventListener("abort", end);
      this.#options.errors.watch(undefined);
      this.#options.watch.ended("the session is over");
      session.end(new Error("the session is over"));
    }
  }

  /**
   * A follower may be beside a replica: then its session is with the primary, and clients of the replica are answered
   * there. While the replica is gone, the primary is where it was. In a cluster it is looked for anew: it changes.
   */
  async #findPrimary(): Promise<void> {
    const { url, role } = this.#options;
    if (namesCluster(url)) {
      this.#url = await serverOf(url);
      return;
    }
    if (role === "leader" || namesSentinels(url)) return;
    try {
      this.#place = await placeInReplication(url);
    } catch (error) {
      if (this.#place?.source === undefined) throw error;
    }
    const { source, primary } = this.#place;
    this.#url = primary;
    if (source === undefined) await this.#replicaReads.stop();
    else await this.#replicaReads.serve(source);
  }

  /** The same server is there still: it has closed a connection, which it does where an answer passes its limit. */
  async #countClosed({ runId, writer }: Session): Promise<void> {
    const wasClosed = this.#lostRunId === runId;
    this.#lostRunId = "";
    if (!wasClosed) return;
    closedConnections.count++;
    const limit = await outputLimitOf(writer).catch(() => 0);
    const cause = limit > 0 ? `; its client-output-buffer-limit of normal clients is ${limit} bytes` : "";
    this.#options.log.warn(`Redis has closed a connection of this sidecar, and goes on${cause}`);
  }

  /** @param serving called before clients are */
  async #serve(session: Session, lease: Lease, serving: () => void): Promise<void> {
    // At once: opening the files may take longer than the lease lasts.
    const heartbeat = new Heartbeat(session, lease, this.#url, this.#options.syncFollowers);
    try {
      const isHandedOver = await heartbeat.keepClientsWaiting();
      const options = { ...this.#options, url: this.#url };
      const service = new Service(session, heartbeat, await this.#openFiles(), this.#losses, options);
      await service.start(isHandedOver ? catchUpMsMax : undefined);
      this.#candidacy.noteLed(session.runId, lease.epoch);
      serving();
      this.#announce();
      await service.run(this.#stop);
      if (!service.hasHandedOver) return;
      this.#yieldsUntil = performance.now() + yieldMs;
      this.#hurry.abort(); // writes may wait for what it acknowledges as a follower
    } finally {
      await heartbeat.stop();
    }
  }

  /** For a follower it never resolves while the session lasts; one of role auto follows until it may lead. */
  async #takeLease(session: Session): Promise<Lease | undefined> {
    if (this.#options.role !== "leader") return this.#follow(session);
    while (!this.#stop.aborted) {
      const lease = await Lease.take(session.writer, this.#options.sidecarId);
      if (lease !== undefined) return lease;
      this.#report("info", "another sidecar serves this Redis; standing by");
      await this.#pause(standbyPollMs);
    }
    return undefined;
  }

  async #follow(session: Session): Promise<Lease | undefined> {
    const catalog = await this.#openFiles();
    const following = await Following.begin(session, catalog, {
      ...this.#options,
      candidacy: this.#candidacy,
      applied: this.#losses.applied,
    });
    this.#following = following;
    try {
      return await this.#followUntilLead(session, catalog, following);
    } finally {
      this.#following = undefined;
      await following.end();
    }
  }

  async #followUntilLead(
    session: Session,
    catalog: Catalog,
    following: Following,
  ): Promise<Lease | undefined> {
    let isReady = false;
    while (!this.#stop.aborted) {
      const state = await following.step();
      if (state === inStep) this.#replicaReads.admit(catalog);
      if (following.isLeadFree) await following.attend(0, false); // writes may wait for what was applied here
      // Where clients wait for the next leader it is known from a moment ago; the service looks once more.
      const wasReady: boolean = isReady && following.isLeadFree;
      isReady = this.#isReady && (wasReady || (await areComplete(session, catalog)));
      const isDue = isReady && (await this.#candidacy.isDue(session.answerer, session.runId));
      const lease = isDue ? await Lease.take(session.writer, this.#options.sidecarId) : undefined;
      if (lease !== undefined) {
        await following.step(); // what the old leader has told at last
        return lease;
      }
      this.#report("info", `following ${publicUrl(this.#url)}, ${state}`);
      await following.attend(isReady && !isDue ? candidatePollMs : standbyPollMs, isReady);
    }
    return undefined;
  }

  /** Whether it would lead. */
  get #isReady(): boolean {
    return this.#options.role === "auto" && performance.now() >= this.#yieldsUntil;
  }

  async #openFiles(): Promise<Catalog> {
    try {
      return await this.#options.catalog();
    } catch (error) {
      // Another process may be about to release the files. No other error gets better by waiting.
      if (error instanceof VstoreError && error.code === "LOCKED") throw error;
      throw new UnusableFiles(error);
    }
  }

  #announce(): void {
    this.#backOffMs = backOffMsMin;
    this.#report("info", `serving ${publicUrl(this.#url)}`);
    this.#options.onServing?.();
  }

  #report(level: "info" | "warn", what: string): void {
    this.#options.watch.note(what);
    if (what !== this.#lastReport) this.#options.log[level](what);
    this.#lastReport = what;
  }

  async #pause(ms: number, hurry?: AbortSignal): Promise<void> {
    const signal = hurry === undefined ? this.#stop : AbortSignal.any([this.#stop, hurry]);
    await delay(ms, undefined, { signal }).catch(() => {});
  }
}

/** Explains FULL: a replay, or a checkpoint before it, has no room for writes that may have been acknowledged. */
function reasonOf(error: Error): string {
  if (!(error instanceof VstoreError && error.code === "FULL")) return error.message;
  return `acknowledged writes wait for room: ${error.message}; free some space there, and it goes on by itself`;
}

/** Whether the files have all that the logs begin after. */
function areComplete(session: Session, catalog: Catalog): Promise<boolean> {
  return checkFiles(session.logReader, catalog).then(
    () => true,
    () => false,
  );
}

class UnusableFiles extends Error {
  constructor(cause: unknown) {
    super("the files cannot be opened", { cause });
  }
}
