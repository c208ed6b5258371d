/**
 * The timelines of the logs. As long as one process of Redis holds them, an id names one entry. When another one does,
 * a new primary or one that was started again, it may lack the last entries of a log, and what comes then has later ids
 * all the same. So each leader that finds another process, or a log without entries that its files have, begins a new
 * timeline, and notes of every log up to where it still has the one before. A token names its timeline, and files name
 * theirs (lineage.ts): what they name beyond that was lost.
 *
 * Up to where that is: what the files had before the replay is of the timeline before. So is what the leader of before
 * had told to be applied, and every entry of the log up to the last one that a client waits for, because the module
 * takes those only while a leader serves.
 */
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import type { Timelines } from "../../commands/token.ts";
import type { Catalog } from "../../engine/catalog.ts";
import type { Lineage } from "../../engine/disk/manifest.ts";
import { compareIds, laterId } from "../../engine/log-id.ts";
import { readProgress } from "../followers/progress.ts";
import { readHash, typeFunction } from "../redis/key-state.ts";
import { controlStream, logStream, timelinesKey } from "../redis/keys.ts";
import { readByScript, runScript } from "../redis/script.ts";
import { infoField } from "../redis/server.ts";
import { controlField, decodeEnds, encodeEnds, isOlder, isOnLog, markField, timelineOf } from "./lineage.ts";
import { type LogLook, lookAtLogs } from "./removals.ts";

/** Of one log: tokens of older ones are refused, and files that have been on no later one. */
export const timelinesMax = 32;

/** Looks at the last 100 entries behind an id: nearly always the last one is of a client. */
const lastOfClientScript = `${typeFunction}
if typeOf(KEYS[1]) ~= 'stream' then return '' end
local at = '+'
for _ = 1, 100 do
  local entry = redis.call('XREVRANGE', KEYS[1], at, '(' .. ARGV[1], 'COUNT', 1)[1]
  if not entry then return '' end
  local fields = entry[2]
  for i = 3, #fields, 2 do
    if fields[i] == 'client' then return entry[1] end
    if fields[i] == '0' then break end
  end
  at = '(' .. entry[1]
end
return ''`;

const replaceScript = `
redis.call('DEL', KEYS[1])
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1`;

/** A log and the files that follow from it, when a leader begins. */
interface Followed {
  /** In vstore:timelines. */
  readonly field: string;
  readonly stream: string;
  /** Where the files are. */
  readonly position: string;
  readonly files: Lineage | undefined;
  /** What Redis has of the log; undefined of vstore:control. */
  readonly look: LogLook | undefined;
  /** Up to where the leader of before has told it to be applied. */
  readonly told: string | undefined;
  readonly adopt: (lineage: Lineage) => void | Promise<void>;
}

export class LogTimelines implements Timelines {
  current = "";
  /** Of each collection and earlier timeline the last id that is kept. */
  readonly #ends = new Map<string, ReadonlyMap<string, string>>();

  endOf(collection: string, timeline: string): string | undefined {
    return this.#ends.get(collection)?.get(timeline);
  }

  /** What the leader has noted, for a follower. */
  async read(reads: Redis): Promise<void> {
    const known = await readHash(reads, timelinesKey);
    this.current = timelineOf(known.get(markField));
    known.delete(markField);
    this.#ends.clear();
    for (const [name, text] of known) this.#ends.set(name, new Map(decodeEnds(text)));
  }

  /**
   * Must be called when the logs belong to the files, and before what they have beyond them is applied, or anything of
   * them is changed.
   *
   * @returns whether a new timeline has begun
   */
  async begin(redis: Redis, reads: Redis, catalog: Catalog, runId: string): Promise<boolean> {
    const known = await readHash(reads, timelinesKey);
    const mark = known.get(markField);
    const now = `${runId}:${infoField(await reads.info("replication"), "master_replid")}`;
    const all = await logsOf(reads, catalog);
    const last = timelineOf(mark);
    const bases = all.map((each) => baseOf(each, last, known.get(each.field)));
    const isOther = bases.some((base) => base !== undefined && base.timeline !== last);
    const isNew = mark?.split(" ")[1] !== now || isOther || all.some(hasLost);
    this.current = isNew ? randomBytes(4).toString("hex") : last;
    const next: Lineage[] = [];
    for (const [i, each] of all.entries()) next.push(await this.#lineageOf(reads, each, bases[i], last));
    if (isNew) {
      const texts = new Map([...known].filter(([name]) => catalog.has(name))); // of damaged ones
      for (const [i, { field }] of all.entries()) texts.set(field, encodeEnds(next[i]!.ends));
      const words = [markField, `${this.current} ${now}`, ...[...texts].flat()];
      await runScript(redis, replaceScript, [timelinesKey], ...words);
    }
    catalog.withheld.clear();
    for (const [i, { field, adopt }] of all.entries()) {
      this.#ends.set(field, new Map(next[i]!.ends));
      await adopt(next[i]!);
    }
    return isNew;
  }

  /** @param base what the files and the log have in common */
  async #lineageOf(reads: Redis, each: Followed, base: Lineage | undefined, last: string): Promise<Lineage> {
    if (base === undefined || base.timeline === this.current)
      return { timeline: this.current, ends: base?.ends ?? [] };
    // Of another timeline than the log is on, the log has nothing.
    const end = base.timeline === last ? await endOf(reads, each) : each.position;
    const ends = [...base.ends, [base.timeline, end] as const];
    return { timeline: this.current, ends: ends.slice(-timelinesMax) };
  }
}

async function logsOf(reads: Redis, catalog: Catalog): Promise<Followed[]> {
  const collections = catalog.collections();
  const looks = await lookAtLogs(
    reads,
    collections.map(({ name }) => name),
  );
  const { storeId, control } = catalog;
  const told = storeId === undefined ? undefined : await readProgress(reads, storeId);
  const logs = collections.map((collection, i): Followed => {
    const { name, position, createdId, lineage: files } = collection;
    const progress = told?.collections.get(name);
    return {
      field: name,
      stream: logStream(name),
      position,
      files,
      look: looks[i],
      told: progress?.created === createdId ? progress.applied : undefined,
      adopt: (lineage) => {
        collection.lineage = lineage;
      },
    };
  });
  const { controlId: position, lineage: files } = control;
  const adopt = (lineage: Lineage) => control.follow(lineage);
  const own = { field: controlField, stream: controlStream, look: undefined, told: undefined };
  return [...logs, { ...own, position, files, adopt }];
}

/** The lineage that goes on: that of the log, or that of the files where the log is older than they are. */
function baseOf({ files, position }: Followed, last: string, known: string | undefined): Lineage | undefined {
  if (last === "") return files;
  const log = { timeline: last, ends: decodeEnds(known ?? "") };
  if (files === undefined || files.timeline === last) return log;
  return isOlder(log, files) || !isOnLog(position, files, log) ? files : log;
}

/** Whether Redis, though it is the same process, lacks something of a log. */
function hasLost({ look, position }: Followed): boolean {
  if (look === undefined || look.isElsewhere) return false;
  return look.begin !== undefined && (isShort(look, position) || look.isIntact === false);
}

const isShort = ({ last }: LogLook, position: string): boolean =>
  last === undefined || compareIds(last, position) < 0;

/** Up to where this Redis has the timeline on which it was until now. */
async function endOf(reads: Redis, { stream, position, look, told }: Followed): Promise<string> {
  if (look?.isIntact === false) return position;
  const ofClient = (await readByScript(reads, lastOfClientScript, [stream], position)) as string;
  const end = ofClient === "" ? position : laterId(ofClient, position);
  return told === undefined || look === undefined || isShort(look, told) ? end : laterId(told, end);
}
