/**
 * A follower keeps files of its own in step with the leader's: it reads the same logs from where its files end, and
 * applies them by the same code. It answers no request, trims nothing and holds no lease, so it writes no key but those
 * that say how far it is. It goes no further than the leader has told to be applied.
 */
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { compareIds, FIRST_ID, nextId } from "../../engine/log-id.ts";
import { TimeSlice, TURN_MS_MAX } from "../../engine/time-slice.ts";
import { VstoreError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { AppliedIds } from "../logs/applied-ids.ts";
import { collectionsKey, controlStream, droppedStream, logStream, storeKey } from "../redis/keys.ts";
import { timeOf } from "../requests/moment.ts";
import type { Request } from "../requests/request.ts";
import type { Source } from "../requests/sources.ts";
import { Writes } from "../requests/writes.ts";
import { assertClocksAgree } from "../session/clocks.ts";
import type { Session } from "../session/session.ts";
import { Seeding } from "../snapshots/seeding.ts";
import { Checkpointer } from "../upkeep/checkpointer.ts";
import { isWorthCompacting } from "../upkeep/compactions.ts";
import { Admission } from "./admission.ts";
import { Attendance } from "./attendance.ts";
import { type Candidacy, outOfStep } from "./candidacy.ts";
import { type LogRead, LogReads, type ReadAhead } from "./log-reads.ts";
import { durable, Positions } from "./positions.ts";
import { type Progress, readProgress, type Told } from "./progress.ts";

/** The state of a follower that has applied all that it was told. */
export const inStep = "in step";

export interface FollowingOptions {
  readonly followerId: string;
  readonly checkpointIntervalMs: number;
  readonly checkpointLogBytes: number;
  readonly log: Logger;
  readonly candidacy: Candidacy;
  /** For the time when it leads: which entries it has. */
  readonly applied: AppliedIds;
}

export class Following {
  readonly #redis: Redis;
  /** Of its server. */
  readonly #runId: string;
  readonly #attendance: Attendance;
  readonly #reads: LogReads;
  readonly #catalog: Catalog;
  readonly #options: FollowingOptions;
  readonly #writes: Writes;
  readonly #checkpointer: Checkpointer;
  readonly #checkpointAt = new WeakMap<Collection, number>();
  readonly #positions: Positions;
  readonly #seeding: Seeding;
  readonly #admission: Admission;
  /** Whether the leader has given its lease up, and requests may be waiting for the next one. */
  isLeadFree = false;
  /** Collections whose log begins after the files end, or whose files are damaged; where it began at that time. */
  readonly #out = new Map<string, string>();
  #state = "";
  /** What the leader has told and was not applied yet. */
  readonly #toldLogs = new Map<string, string>();
  #isCheckpointing = false;
  /** Whether a leader was seen alive on this server. */
  #isLed = false;
  /** What the leader told the last time. */
  #heard: Told | undefined;
  /** Of vstore:control, up to where the leader has told that it is applied, and up to where it is so here. */
  #controlTold = FIRST_ID;
  #controlApplied = FIRST_ID;

  /**
   * @param session of which each connection has a use of its own
   * @throws Error when the files belong to another Redis
   */
  static async begin(
    { logReader: redis, reader: waiting, answerer, runId }: Session,
    catalog: Catalog,
    options: FollowingOptions,
  ): Promise<Following> {
    await assertClocksAgree(redis, catalog.clock); // the time of an entry is capped by it
    const attendance = new Attendance(waiting, options.followerId);
    const seeding = new Seeding(answerer, catalog, options.followerId, options.log);
    const following = new Following(redis, runId, attendance, seeding, catalog, options);
    await following.#adopt();
    await following.#positions.begin();
    return following;
  }

  private constructor(
    redis: Redis,
    runId: string,
    attendance: Attendance,
    seeding: Seeding,
    catalog: Catalog,
    options: FollowingOptions,
  ) {
    this.#redis = redis;
    this.#runId = runId;
    this.#seeding = seeding;
    this.#admission = new Admission(redis, catalog);
    this.#attendance = attendance;
    this.#reads = new LogReads(redis, catalog);
    this.#positions = new Positions(redis, options.followerId);
    this.#catalog = catalog;
    this.#options = options;
    const context = (request: Request) => ({
      catalog,
      id: request.id,
      time: timeOf(request, catalog.clock()),
    });
    const count = (collection: Collection, { id, bytes }: Request) => {
      options.applied.note(collection, id);
      this.#checkpointer.count(collection, bytes);
    };
    this.#checkpointer = new Checkpointer(catalog, {
      logBytesMax: options.checkpointLogBytes,
      intervalMs: options.checkpointIntervalMs,
      log: options.log,
      afterwards: () => this.#tell(),
    });
    const answers = { toWrite: assertDecided };
    this.#writes = new Writes(redis, catalog, answers, undefined, context, count, async () => {});
  }

  /** Applies what the leader has told since the last time. Returns how it stands, in words. */
  async step(): Promise<string> {
    const { storeId } = this.#catalog;
    const control = this.#controlTold;
    const told = storeId === undefined ? undefined : await this.#hear(storeId);
    if (told === undefined) await this.#adopt();
    else {
      await this.#admission.look();
      await this.#followAll(told);
      if (this.#hasAll(told)) this.#controlApplied = control;
      this.#seed(told);
    }
    await this.#forgetRemains();
    void this.#checkpoint();
    await this.#tell();
    await this.#seeding.settle();
    this.#state = this.#out.size > 0 ? outOfStep : told === undefined ? "no leader yet" : inStep;
    await this.#options.candidacy.giveSign(this.#redis, this.#runId, this.#state, this.#isLed);
    return this.#state;
  }

  /** For VSTORE.INFO. */
  facts(): Record<string, number> {
    return this.#seeding.facts();
  }

  /** Must be called before the files are used otherwise. */
  end(): Promise<void> {
    return this.#seeding.end();
  }

  /** Fetches a collection that is out of step; one that has arrived can be followed. */
  #seed({ collections }: Told): void {
    this.#seeding.heed((name) => collections.get(name)?.created);
    const { arrived } = this.#seeding;
    if (arrived !== undefined) this.#out.delete(arrived);
    for (const name of this.#out.keys()) {
      const created = collections.get(name)?.created;
      if (created !== undefined) this.#seeding.begin(name, created);
    }
  }

  /**
   * Applies logs as soon as the leader tells that it has, for so long, or until something takes a step: collections
   * that came or went, or a lease that was given up.
   *
   * @param isReady whether it would take the lead
   */
  async attend(ms: number, isReady: boolean): Promise<void> {
    const state = this.#state !== inStep ? "OUT" : isReady ? "READY" : "FOLLOWS";
    const logs = new Map(this.#catalog.collections().map((each) => [logStream(each.name), each]));
    await this.#applyTold(logs);
    const until = performance.now() + ms;
    let moved = [...logs.keys()];
    let left = ms;
    let takesStep = false;
    do {
      left = Math.max(0, Math.ceil(until - performance.now()));
      const positions = moved.map((stream) => [stream, logs.get(stream)!.position] as const);
      const control = [controlStream, this.#controlApplied] as const;
      // Before it is acknowledged: from then on clients may rely on it.
      if (state !== "OUT")
        this.#options.candidacy.noteApplied(this.#runId, this.#attendance.serial, this.#isLed);
      const told = await this.#attendance.call(state, [...positions, control], left, this.#reads);
      const { isFree, applied, ahead } = told;
      for (const [stream, id] of applied) this.#toldLogs.set(stream, id);
      moved = [...applied.keys()];
      this.isLeadFree = isFree;
      takesStep = isFree || !moved.every((stream) => logs.has(stream));
      if (!takesStep) await this.#applyTold(logs, ahead);
    } while (left > 0 && !takesStep);
    const control = this.#toldLogs.get(controlStream);
    if (control !== undefined) this.#controlTold = control;
  }

  /** Only of collections that are the leader's: another one of that name has another log. */
  async #applyTold(logs: ReadonlyMap<string, Collection>, ahead?: ReadAhead): Promise<void> {
    const told = [...this.#toldLogs];
    this.#toldLogs.clear();
    this.#reads.noteTold(told.flatMap(([stream]) => logs.get(stream) ?? []));
    for (const [stream, id] of told) {
      const collection = logs.get(stream);
      if (collection === undefined || this.#catalog.find(collection.name) !== collection) continue; // replaced
      const progress = this.#heard?.collections.get(collection.name);
      if (progress?.created === collection.createdId && !this.#seeding.owns(collection.name))
        await this.#followLog(collection, id, ahead?.get(collection));
    }
  }

  /** Files that are empty can follow any Redis; others only the one that they know. */
  async #adopt(): Promise<void> {
    const store = await this.#redis.get(storeKey);
    const { storeId } = this.#catalog;
    if (store === null || store === storeId) return;
    if (this.#catalog.names().length > 0)
      throw new Error(
        "the files of this data directory belong to another Redis, or Redis has lost vstore:store; " +
          "follow with an empty data directory, or one that a backup of the leader was restored into",
      );
    await this.#catalog.adopt(store);
  }

  async #hear(storeId: string): Promise<Told | undefined> {
    if ((await this.#redis.get(storeKey)) !== storeId) return undefined;
    return readProgress(this.#redis, storeId);
  }

  /**
   * Drops only on the word of a leader that is alive: an older copy of Redis, which has taken over, may not know of a
   * collection yet that its files have.
   */
  async #followAll(told: Told): Promise<void> {
    const { collections } = told;
    const isAlive = this.#heard?.session === told.session && this.#heard.calls < told.calls;
    this.#heard = told;
    this.#isLed ||= isAlive;
    if (isAlive) {
      for (const collection of this.#catalog.collections()) {
        const progress = collections.get(collection.name);
        const isOther = progress !== null && progress?.created !== collection.createdId;
        if (isOther && !this.#seeding.owns(collection.name)) await this.#drop(collection);
      }
    }
    for (const [name, progress] of collections) if (progress !== null) await this.#followOne(name, progress);
    for (const name of this.#out.keys()) if (!collections.has(name)) this.#out.delete(name);
  }

  /** Whether the collections are those of the leader: a DROP may take another step. */
  #hasAll({ collections }: Told): boolean {
    const isTold = ({ name, createdId }: Collection) => {
      const progress = collections.get(name);
      return progress === null || progress?.created === createdId;
    };
    return this.#catalog.collections().every(isTold);
  }

  async #followOne(name: string, { created, applied, options }: Progress): Promise<void> {
    const begin = await this.#redis.hget(collectionsKey, name);
    if (this.#seeding.owns(name)) return;
    if (this.#catalog.find(name) === undefined) {
      if (this.#catalog.has(name)) return this.#noteOut(name, begin ?? created, "its files are damaged");
      if (begin !== null && compareIds(begin, created) > 0) return this.#noteOut(name, begin);
      await this.#catalog.createLike(name, options, created);
    }
    const collection = this.#catalog.find(name);
    if (collection?.createdId !== created) return;
    if (await this.#admits(collection, begin)) await this.#followLog(collection, applied);
  }

  /** Also where there is nothing to apply: what the files have may be what the leader has not. */
  async #admits(
    collection: Collection,
    begin: string | null | undefined,
    timeline?: string,
  ): Promise<boolean> {
    if (await this.#admission.admits(collection, timeline)) return true;
    const cause = "the files hold writes that were lost at a fail-over";
    this.#noteOut(collection.name, begin ?? collection.createdId, cause);
    return false;
  }

  async #followLog(collection: Collection, applied: string, ahead?: LogRead): Promise<void> {
    for (let read = ahead; compareIds(collection.position, applied) < 0; read = undefined) {
      const before = collection.position;
      if (!(await this.#applySome(collection, applied, read)) || collection.position === before) break;
    }
  }

  /** @returns whether there may be more */
  async #applySome(collection: Collection, applied: string, ahead?: LogRead): Promise<boolean> {
    const { name, position } = collection;
    const { requests, isCut, look } = await this.#reads.next(collection, applied, ahead);
    const { begin, last, isIntact, timeline } = look;
    // The entries may be those of the timeline before.
    if (timeline !== "" && timeline !== collection.lineage?.timeline)
      return (await this.#admits(collection, begin, timeline)) && this.#applySome(collection, applied);
    if (begin !== undefined && compareIds(begin, position) > 0) {
      this.#noteOut(name, begin);
      return false;
    }
    // It is being dropped, or Redis has lost some of it, and the leader will see to that.
    if (begin === undefined || last === undefined || compareIds(last, applied) < 0 || isIntact !== true)
      return false;
    this.#out.delete(name);
    const source: Source = { stream: logStream(name), kind: "log", collection: name, last: position };
    await this.#writes.apply({ source, requests }, true, new TimeSlice(TURN_MS_MAX));
    if (isCut) return true;
    // Entries that were withdrawn are not in the log, and count as applied.
    if (compareIds(collection.position, applied) >= 0) return false;
    collection.appliedId = applied;
    this.#options.applied.note(collection, applied);
    return false;
  }

  async #drop({ name, createdId }: Collection): Promise<void> {
    await this.#catalog.drop(name, nextId(createdId));
    this.#options.log.info({ collection: name }, "dropped, as the leader has");
  }

  /** The leader ends the values of dropped caches. Until it has, they are known here too: it may die before. */
  async #forgetRemains(): Promise<void> {
    const { remains } = this.#catalog;
    for (const dropId of remains.dropIds) {
      const { name, createdId } = remains.of(dropId)!;
      if ((await this.#redis.exists(droppedStream(name, createdId))) === 0) await remains.forget(dropId);
    }
  }

  #noteOut(name: string, begin: string, cause = "the log begins after the files end"): void {
    const isKnown = this.#out.has(name);
    this.#out.set(name, begin);
    if (isKnown) return;
    this.#options.log.warn(
      {
        collection: name,
        log_begins_after: begin,
        files_end_at: this.#catalog.find(name)?.position ?? "nothing",
      },
      `out of step: ${cause}; asking the leader for a snapshot`,
    );
  }

  /** In the background, as on the leader: writes may wait for what is applied here. */
  async #checkpoint(): Promise<void> {
    if (this.#isCheckpointing) return;
    this.#isCheckpointing = true;
    await this.#checkpointAll().catch((error: Error) =>
      this.#options.log.error({ error: error.message }, "a checkpoint failed"),
    );
    this.#isCheckpointing = false;
  }

  async #checkpointAll(): Promise<void> {
    const now = performance.now();
    for (const collection of this.#catalog.collections()) {
      const last = this.#checkpointAt.get(collection) ?? now;
      const isDue = !collection.isCovered && now - last >= this.#options.checkpointIntervalMs;
      if (isDue || collection.isCovered) this.#checkpointAt.set(collection, now);
      else this.#checkpointAt.set(collection, last);
      if (!isDue) continue;
      await this.#checkpointer.checkpoint(collection.name);
      if (isWorthCompacting(collection)) await collection.compact();
    }
  }

  async #tell(): Promise<void> {
    const now = durable(this.#catalog.collections());
    // From there on a backup that is made now can be completed. The leader waits within its limit.
    for (const [name, begin] of this.#out) now.set(name, begin);
    if (this.#seeding.needed !== undefined) now.set(...this.#seeding.needed);
    await this.#positions.tell(now);
  }
}

/** What the leader has applied, or refused for good, is so here too. Only the moment may be another one. */
function assertDecided(_: Source, { id }: Request, { error }: { readonly error?: Error }): void {
  if (!(error instanceof VstoreError) || !["FULL", "DAMAGED", "TRYAGAIN"].includes(error.code)) return;
  throw new Error(`the entry ${id} that the leader has applied is refused here: ${error.message}`);
}
