/**
 * Which follower leads when leader and Redis are gone together. With `--sync-followers` a write is acknowledged once so
 * many followers have applied it, and the new primary may lack it. So the follower that has applied most goes first.
 *
 * What followers acknowledge is told to them in one order (the serial of VSTORE.FOLLOW), and each acknowledges all up
 * to a point of it. So of two followers the one that is further has every write that the other one has acknowledged.
 * Each writes where it stands into its sign of life. One that may lead looks at the signs of the others, and waits, for
 * a limited time, for those that it knows to be alive and that have not come to this server yet.
 */
import type { Redis } from "ioredis";
import type { Logger } from "../../log.ts";
import { markField } from "../logs/lineage.ts";
import { epochKey, followersKey, timelinesKey } from "../redis/keys.ts";
import { infoField } from "../redis/server.ts";
import type { Role } from "./roles.ts";

/** One that is ahead and alive is given so many times the wait. */
const yieldShare = 5;
/** A sign that has not changed in so many looks is of a sidecar that is gone. */
const looksMax = 3;
/** Of a sidecar that has led: what is acknowledged is in its files. */
const ledSerial = Number.MAX_SAFE_INTEGER;
/** In the place of the sign of life of a follower that leads now. */
export const leads = "leads";
/** Ends the sign of life of a follower whose files cannot go on by the logs. */
export const outOfStep = "out of step";
/** Of a sidecar that never leads. */
const noCandidate = "-";

interface Standing {
  /** Run id of the Redis where it was told what it has applied. */
  readonly server: string;
  /** The number of the leader there. */
  readonly epoch: number;
  /** Up to where it has applied what that leader told. */
  readonly serial: number;
}

export interface CandidacyOptions {
  readonly role: Role;
  readonly followerId: string;
  readonly syncFollowers: number;
  /** How long it waits for others that may be ahead. */
  readonly candidateWaitMs: number;
  readonly log: Logger;
}

/** Of one process; it outlives sessions. What an earlier process had applied is not known to be in the files. */
export class Candidacy {
  readonly #options: CandidacyOptions;
  #standing: Standing = { server: "", epoch: 0, serial: 0 };
  /** The number of the leader that is followed. */
  #epoch = 0;
  #beats = 0;
  readonly #others = new Map<string, { sign: string; looks: number }>();
  /** On which server it has waited, and since when. */
  #wait = { server: "", since: 0, isTold: false };
  readonly #heard = new Map<string, { sign: string; at: number }>();

  constructor(options: CandidacyOptions) {
    this.#options = options;
  }

  /** Whether anything depends on who leads. */
  get isOfUse(): boolean {
    return this.#options.syncFollowers > 0;
  }

  /** Says that this sidecar follows on this server, and where it stands. */
  async giveSign(redis: Redis, server: string, state: string, isLed: boolean): Promise<void> {
    const { followerId } = this.#options;
    await redis.hset(followersKey, followerId, `${++this.#beats} ${this.#wordOn(server)} ${state}`);
    if (!this.isOfUse || !isLed) return;
    this.#epoch = Number(await redis.get(epochKey));
    this.#noteOthers(await redis.hgetall(followersKey));
  }

  #wordOn(server: string): string {
    if (this.#options.role !== "auto") return noCandidate;
    const { server: origin, epoch, serial } = this.#standing;
    return [server, origin, epoch, serial].join(":");
  }

  /** This sidecar leads there: what is acknowledged is in its files. */
  noteLed(server: string, epoch: number): void {
    this.#standing = { server, epoch, serial: ledSerial };
  }

  /**
   * Everything is applied that was told up to `serial`.
   *
   * @param isLed whether a leader is known to be alive there; without one the serial is of no use
   */
  noteApplied(server: string, serial: number, isLed: boolean): void {
    if (isLed) this.#standing = { server, epoch: this.#epoch, serial };
  }

  /** Remembers which others are alive, while there is a leader. */
  #noteOthers(signs: Readonly<Record<string, string>>): void {
    for (const [id, sign] of Object.entries(signs)) {
      const looks = this.#others.get(id)?.sign === sign ? this.#others.get(id)!.looks + 1 : 0;
      this.#others.set(id, { sign, looks });
    }
    for (const id of this.#others.keys()) if (signs[id] === undefined) this.#others.delete(id);
  }

  /** Whether it may ask for the lease now. @param server run id of the Redis */
  async isDue(redis: Redis, server: string): Promise<boolean> {
    // None is ahead of the one that has led.
    if (!this.isOfUse || this.#standing.serial === ledSerial || (await hasAll(redis, server))) return true;
    if (this.#wait.server !== server) this.#wait = { server, since: performance.now(), isTold: false };
    const { candidateWaitMs, log } = this.#options;
    const waitedMs = performance.now() - this.#wait.since;
    const signs = await redis.hgetall(followersKey);
    const ahead = Object.entries(signs).filter(([id, sign]) => this.#isAhead(id, sign, server));
    const isMissing = this.#awaited(signs).some((id) => wordOf(signs[id])?.[0] !== server);
    const waits =
      (isMissing && waitedMs < candidateWaitMs) ||
      (ahead.length > 0 && waitedMs < yieldShare * candidateWaitMs);
    if (waits && !this.#wait.isTold) {
      this.#wait.isTold = true;
      log.info({ ahead: ahead.length }, "not leading yet: another follower may have applied more");
    }
    return !waits;
  }

  /** Those that were alive when there was a leader, or by what this Redis knows. */
  #awaited(signs: Readonly<Record<string, string>>): string[] {
    const known = [...this.#others].filter(([, { looks }]) => looks < looksMax);
    const named = this.#others.size > 0 ? known.map(([id, { sign }]) => [id, sign]) : Object.entries(signs);
    const mayLead = (sign: string) => wordOf(sign) !== undefined && !sign.endsWith(outOfStep);
    return named.filter(([id, sign]) => id !== this.#options.followerId && mayLead(sign!)).map(([id]) => id!);
  }

  /** Whether that one is here, alive, and has applied more. */
  #isAhead(id: string, sign: string, server: string): boolean {
    const [here, origin, epoch, serial] = wordOf(sign) ?? [];
    if (id === this.#options.followerId || here !== server || sign.endsWith(outOfStep)) return false;
    const heard = this.#heard.get(id);
    const now = performance.now();
    if (heard?.sign !== sign) this.#heard.set(id, { sign, at: now });
    else if (now - heard.at > Math.max(this.#options.candidateWaitMs, silentMsMax)) return false;
    const own = this.#standing;
    return origin === own.server ? Number(serial) > own.serial : Number(epoch) > own.epoch;
  }
}

/** A follower gives a sign of life about once a second. */
const silentMsMax = 2_000;

/** Where a sign of life says that its sidecar is and stands; undefined where it does not lead, or leads already. */
function wordOf(sign = ""): string[] | undefined {
  const words = sign.split(" ")[1]?.split(":");
  return words?.length === 4 ? words : undefined;
}

/** Whether this server is the one on which the last leader led: then its logs have all. */
async function hasAll(redis: Redis, server: string): Promise<boolean> {
  const mark = await redis.hget(timelinesKey, markField);
  const replication = infoField(await redis.info("replication"), "master_replid");
  return mark?.split(" ")[1] === `${server}:${replication}`;
}
