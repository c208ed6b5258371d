/**
 * Brings the streams in Redis in step with the files, before the sidecar serves and whenever collections come and go.
 * The rule for each stream is the table in PROTOCOL.md. Entries beyond the files will be read. A stream that lacks
 * entries of the files is moved forward, so that no new entry gets an id that was passed already.
 */
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { ignoreFull } from "../../engine/disk/files.ts";
import { compareIds, FIRST_ID, laterId, nextId } from "../../engine/log-id.ts";
import { lastId, typesOf } from "../redis/key-state.ts";
import {
  collectionsKey,
  controlStream,
  errorsStream,
  logStream,
  logsKey,
  nodeTag,
  queriesStream,
  shardsKey,
  syncedKey,
} from "../redis/keys.ts";
import { ignoreElsewhere } from "../redis/node.ts";
import { runScript } from "../redis/script.ts";
import { decodeEntry, type Request } from "../requests/request.ts";
import { checkFiles, isPaired, pair } from "./belonging.ts";
import type { LogLosses } from "./losses.ts";
import { acceptLog, type LogLook, lookAtLogs } from "./removals.ts";
import { strays } from "./strays.ts";

/** Applies an entry that comes after all others in spite of its id. */
export interface StrayWriter {
  applyStray(collection: Collection, request: Request): Promise<void>;
}

/**
 * @param beginTimeline called once the files are the ones that the logs belong to; tells whether Redis may lack entries
 * @throws Error when the files are not the ones that the logs belong to
 */
export async function reconcile(
  redis: Redis,
  catalog: Catalog,
  losses: LogLosses,
  writer: StrayWriter,
  beginTimeline: () => Promise<boolean>,
): Promise<void> {
  for (const name of await checkFiles(redis, catalog)) {
    await expectDrop(redis, name);
    await forgetCollection(redis, name);
    losses.reportDrop(name);
  }
  await pair(redis, catalog);
  for (const collection of catalog.collections()) await takeStrays(redis, collection, losses, writer);
  const mayHaveGaps = await beginTimeline();
  await alignLogs(redis, redis, catalog.collections(), losses, { mayHaveGaps });
  await alignControl(redis, catalog);
}

/** The log of such a collection may have a gap that no look at it shows; see hasSeen. */
const isFollowing = ({ options }: Collection): boolean => options.follow !== undefined;

/**
 * Looks at all logs together, as most need nothing.
 *
 * @param begins given when a session begins: whether logs may lack entries before later ones
 */
async function alignLogs(
  redis: Redis,
  reads: Redis,
  collections: readonly Collection[],
  losses: LogLosses,
  begins?: { readonly mayHaveGaps: boolean },
): Promise<void> {
  // Before Redis is asked: what is applied meanwhile is in no log that it has shown.
  const ends = collections.map(({ position }) => position);
  const looks = await lookAtLogs(
    reads,
    collections.map(({ name }) => name),
  );
  for (const [i, collection] of collections.entries()) {
    const [look, end] = [looks[i]!, ends[i]!];
    const mayHaveGap = begins?.mayHaveGaps === true && !look.isElsewhere && look.last !== end;
    if (mayHaveGap || needsCare(look, end) || (begins !== undefined && isFollowing(collection)))
      await alignLog(redis, collection, losses, mayHaveGap);
  }
}

/** Whether Redis has something else of a log than a session leaves there. */
function needsCare({ last, isIntact, begin, isElsewhere }: LogLook, end: string): boolean {
  if (isElsewhere) return false;
  return last === undefined || compareIds(last, end) < 0 || isIntact !== true || begin === undefined;
}

/**
 * Applies strays before the log is moved forward past them. Then a checkpoint makes them, and what only the files have,
 * safe.
 */
async function takeStrays(
  redis: Redis,
  collection: Collection,
  losses: LogLosses,
  writer: StrayWriter,
): Promise<void> {
  const isKnown = losses.applied.oldest(collection) !== undefined;
  if (!isKnown || (await lastId(redis, logStream(collection.name))) === undefined) return;
  if (await hasSeen(redis, collection)) return;
  let entries = 0;
  for await (const stray of strays(redis, collection, losses.applied)) {
    await writer.applyStray(collection, stray);
    entries++;
  }
  if (entries > 0) {
    losses.reportStrays(collection.name, entries);
    await beginAfterStrays(redis, collection, writer);
  }
  await collection.checkpoint();
}

/**
 * The log begins after an id that no follower has applied: one that ends where these files did lacks the strays, and
 * gets the files.
 */
async function beginAfterStrays(redis: Redis, collection: Collection, writer: StrayWriter): Promise<void> {
  const [stream, next] = [logStream(collection.name), nextId(collection.position)];
  const [entry] = await redis.xrangeBuffer(stream, next, next);
  if (entry !== undefined) await writer.applyStray(collection, decodeEntry(stream, next, entry[1]));
  collection.appliedId = laterId(collection.appliedId, next);
  await redis.hdel(syncedKey, collection.name); // what is lost may have told what happened to its keys
  await collection.checkpoint();
  await noteBegin(redis, collection, "HSET");
}

/** Logs that are looked at in one turn: a look at each of them, at a thousand, would keep Redis busy while idle. */
const logsPerTurn = 100;

/**
 * Restores the logs of collections whose logs have vanished, and control. Looks at some logs in turn, and at all of
 * them when Redis has forgotten everything.
 *
 * @param reads connection for reading, which goes on while writes are paused
 * @param turn a number that rises by one each time
 */
export async function restoreLogs(
  redis: Redis,
  reads: Redis,
  catalog: Catalog,
  losses: LogLosses,
  turn: number,
): Promise<void> {
  const all = catalog.collections();
  const from = logsPerTurn * (turn % Math.max(1, Math.ceil(all.length / logsPerTurn)));
  const next = (await isPaired(reads, catalog)) ? all.slice(from, from + logsPerTurn) : all;
  await alignLogs(redis, reads, next, losses);
  const [control] = await typesOf(reads, [controlStream]);
  if (control === "none") await alignControl(redis, catalog);
  await pair(redis, catalog, reads); // the last: from then on what Redis does not know does not exist
}

/** The last ids of the logs that must not be touched, because their files are damaged. */
export async function endsOfDamaged(redis: Redis, catalog: Catalog): Promise<Map<string, string>> {
  const ends = new Map<string, string>();
  for (const name of catalog.names()) {
    if (catalog.find(name) === undefined) ends.set(name, (await lastId(redis, logStream(name))) ?? FIRST_ID);
  }
  return ends;
}

/**
 * Makes sure that the collection's log exists and does not lag behind its files. When Redis has lost entries, a
 * checkpoint makes them safe in the files before the log's last id moves past them, and the log begins after them from
 * then on. While another kind of value is in the log's place, only the checkpoint is made.
 *
 * @param mayHaveGap whether the log may lack entries before later ones
 */
export async function alignLog(
  redis: Redis,
  collection: Collection,
  losses: LogLosses,
  mayHaveGap = false,
): Promise<void> {
  const { name } = collection;
  const stream = logStream(name);
  if (await isObstructed(redis, stream)) {
    await collection.checkpoint().catch(ignoreFull);
    await noteBegin(redis, collection, "HSETNX");
    return;
  }
  const secure = async (last: string | undefined) => {
    losses.report(collection, last);
    await redis.hdel(syncedKey, name); // the lost entries may have told what happened to its keys
    await collection.checkpoint();
  };
  const moved = await align(redis, stream, () => collection.position, secure);
  const [look] = await lookAtLogs(redis, [name]);
  const wasChanged = !moved && look?.isIntact === false;
  if (wasChanged) await secure(look?.last);
  // Before the log is accepted as it is: a follower must not take a log with a gap for a whole one.
  await noteBegin(redis, collection, moved || wasChanged ? "HSET" : "HSETNX");
  if (look?.isIntact !== true) await acceptLog(redis, name);
  if (moved || !(isFollowing(collection) || mayHaveGap) || (await hasSeen(redis, collection))) return;
  await redis.hdel(syncedKey, name);
  if (!mayHaveGap) return;
  // Followers that end before the files do not go on by a log without what the files have.
  await collection.checkpoint();
  await noteBegin(redis, collection, "HSET");
}

/** Tells Redis of the collection, and where its log begins. */
async function noteBegin(redis: Redis, collection: Collection, command: "HSET" | "HSETNX"): Promise<void> {
  const begin = laterId(collection.checkpointId, collection.createdId);
  const script = "return redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3])";
  await runScript(redis, script, [collectionsKey], command, collection.name, begin);
}

/**
 * Whether the log has the entry that the files end with, or had it until it was trimmed. A log that is ahead of the
 * files may lack it all the same: a replica has taken over or the AOF has lost its end, and the module has appended
 * since.
 */
async function hasSeen(redis: Redis, collection: Collection): Promise<boolean> {
  const { name } = collection;
  const position = collection.position;
  if ((await redis.hget(collectionsKey, name)) === position) return true;
  return (await redis.xrangeBuffer(logStream(name), position, position)).length > 0;
}

async function alignControl(redis: Redis, catalog: Catalog): Promise<void> {
  if (await isObstructed(redis, controlStream)) return;
  await align(redis, controlStream, () => catalog.controlId);
}

const expectScript = `
redis.call('HDEL', KEYS[1], ARGV[1])
if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 0 then redis.call('XADD', KEYS[2], '*', 'drop', ARGV[1]) end`;

/**
 * Must be called before a collection is dropped, so that after a crash its absence from the files is expected.
 *
 * @param dropped of a cache whose values are to end: the stream that says so until they have
 */
export async function expectDrop(redis: Redis, name: string, dropped?: string): Promise<void> {
  const keys = dropped === undefined ? [collectionsKey] : [collectionsKey, dropped];
  await runScript(redis, expectScript, keys, name);
}

const forgetScript = `
redis.call('HDEL', KEYS[1], KEYS[2])
if KEYS[5] and redis.call('EXISTS', KEYS[2], KEYS[5]) == 2 then redis.call('RENAME', KEYS[2], KEYS[5]) end
return redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])`;

/**
 * Removes everything that Redis holds of a collection that was dropped.
 *
 * @param dropped takes the log, if it is there
 */
export async function forgetCollection(redis: Redis, name: string, dropped?: string): Promise<void> {
  const keys = [logsKey, logStream(name), queriesStream(name), errorsStream(name)];
  await runScript(redis, forgetScript, dropped === undefined ? keys : [...keys, dropped]);
  if (nodeTag !== "") await redis.unlink(shardsKey(name)).catch(ignoreElsewhere);
}

/** Creating a consumer group is the only way to make an empty stream; the script destroys the group again. */
const moveScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('XGROUP', 'CREATE', KEYS[1], 'vstore', '$', 'MKSTREAM')
  redis.call('XGROUP', 'DESTROY', KEYS[1], 'vstore')
end
return redis.call('XSETID', KEYS[1], ARGV[1])`;

/**
 * Moves the stream's last id forward to `end()`, unless it is there already. Calls `secure` before, with the last id
 * that Redis knows, if any. Returns whether the stream was moved.
 */
async function align(
  redis: Redis,
  stream: string,
  end: () => string,
  secure?: (last: string | undefined) => Promise<void>,
): Promise<boolean> {
  const last = await lastId(redis, stream);
  if (last !== undefined && compareIds(last, end()) >= 0) return false;
  await secure?.(last);
  await runScript(redis, moveScript, [stream], end());
  return true;
}

/** Whether another kind of value is in the stream's place, or it is elsewhere; see obstructions.ts. */
async function isObstructed(redis: Redis, stream: string): Promise<boolean> {
  const [type] = await typesOf(redis, [stream]);
  return type !== "none" && type !== "stream";
}
