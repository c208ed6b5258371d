/**
 * Whether files and a log belong to one history. Both say on which timelines (timelines.ts) they have been, and up to
 * where on each. On the last timeline that both have been on they agree up to the smaller of the two ends. Files that
 * go further hold writes that the log never had, or that were lost at a fail-over: the rest of the log must not be
 * applied on top of them.
 *
 * Files without a lineage were written by a vstore that had none, or have never met a Redis. They are taken as they
 * are, as that vstore did.
 */
import type { Redis } from "ioredis";
import type { Lineage } from "../../engine/disk/manifest.ts";
import { compareIds } from "../../engine/log-id.ts";
import { timelinesKey } from "../redis/keys.ts";

/** Of vstore:timelines: the current timeline and the process that it is of. No collection has such a name. */
export const markField = "/";
/** Likewise: where vstore:control has earlier timelines. */
export const controlField = "/control";

/** Whether files that end at `position` hold nothing but what the log has, or had. */
export function isOnLog(position: string, files: Lineage | undefined, log: Lineage): boolean {
  if (files === undefined) return true;
  const endsOfLog = new Map(stepsOf(log));
  const common = stepsOf(files).findLast(([timeline]) => endsOfLog.has(timeline));
  if (common === undefined) return false;
  const [timeline, end] = common;
  return [end, endsOfLog.get(timeline)].every(
    (each) => each === undefined || compareIds(position, each) <= 0,
  );
}

/** Whether the log is an older copy of the one that the files know: what was written to that since is in the files. */
export function isOlder(log: Lineage, files: Lineage | undefined): boolean {
  return files?.ends.some(([timeline]) => timeline === log.timeline) ?? false;
}

/** The last timeline has no end. */
function stepsOf({ timeline, ends }: Lineage): (readonly [timeline: string, end: string | undefined])[] {
  return [...ends, [timeline, undefined]];
}

/** The timeline that the logs in Redis are on; "" where that is not known. */
export async function currentTimeline(redis: Redis): Promise<string> {
  return timelineOf(await redis.hget(timelinesKey, markField));
}

export const timelineOf = (mark: string | null | undefined): string => (mark ?? "").split(" ")[0]!;

/**
 * Of these logs, as Redis knows them. Undefined for a log that was not there when the current timeline began.
 *
 * @param fields names of collections, or `controlField`
 */
export async function readLineages(
  redis: Redis,
  fields: readonly string[],
): Promise<{ current: string; lineages: (Lineage | undefined)[] }> {
  const [mark, ...texts] = await redis.hmget(timelinesKey, markField, ...fields);
  const current = timelineOf(mark);
  const lineages = texts.map((text) =>
    text === null ? undefined : { timeline: current, ends: decodeEnds(text) },
  );
  return { current, lineages };
}

export const encodeEnds = (ends: Lineage["ends"]): string =>
  ends.map(([timeline, end]) => `${timeline}:${end}`).join(" ");

export function decodeEnds(text: string): Lineage["ends"] {
  const pairs = text.split(" ").map((each) => each.split(":") as [string, string]);
  return pairs.filter(([, end]) => end !== undefined);
}
