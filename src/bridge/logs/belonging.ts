/**
 * Whether these files and this Redis belong together. Redis knows of each collection where its log begins; files that
 * end before that, or do not have the collection, are the wrong ones or too old. But a Redis that was restored from an
 * older snapshot may have a collection that the files have dropped since. The files prove that with the store id that
 * they and Redis share, drawn for the two when they first met, and with the id of the DROP, which is later than all
 * that Redis has. And another leader may have gone on without writes that these files have: then they are not on the
 * timelines of the logs (lineage.ts), and serving them would bring lost writes back.
 */
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { compareIds } from "../../engine/log-id.ts";
import { assertType, lastId } from "../redis/key-state.ts";
import {
  collectionsKey,
  followersKey,
  followsKey,
  logStream,
  logsKey,
  progressKey,
  snapshotsKey,
  storeKey,
  syncedKey,
  timelinesKey,
} from "../redis/keys.ts";
import { runScript } from "../redis/script.ts";
import { controlField, currentTimeline, isOlder, isOnLog, readLineages } from "./lineage.ts";

/**
 * Names the collections that Redis still has and the files have dropped.
 *
 * @throws Error when the files are not the ones that the logs belong to
 */
export async function checkFiles(redis: Redis, catalog: Catalog): Promise<string[]> {
  const own = [collectionsKey, logsKey, followsKey, syncedKey, timelinesKey];
  await assertType(redis, "hash", ...own, progressKey, followersKey, snapshotsKey);
  await assertType(redis, "string", storeKey);
  const arePaired = await isPaired(redis, catalog);
  const known = new Set(catalog.names());
  const dropped: string[] = [];
  for (const [name, begin] of Object.entries(await redis.hgetall(collectionsKey))) {
    const collection = catalog.find(name);
    if (collection !== undefined && compareIds(collection.position, begin) < 0) {
      throw notCovered(name, begin, `end at ${collection.position}`);
    }
    if (known.has(name)) continue;
    if (!arePaired || !(await wasDropped(redis, catalog, name, begin)))
      throw notCovered(name, begin, "do not have it");
    dropped.push(name);
  }
  if (arePaired) await assertOnLogs(redis, catalog);
  return dropped;
}

/** @throws Error that names a collection whose files hold what its log does not */
async function assertOnLogs(redis: Redis, catalog: Catalog): Promise<void> {
  const timeline = await currentTimeline(redis);
  const isOther = ({ lineage }: Collection) => lineage !== undefined && lineage.timeline !== timeline;
  const others = catalog.collections().filter(isOther);
  if (timeline === "" || others.length === 0) return;
  const { current, lineages } = await readLineages(
    redis,
    others.map(({ name }) => name),
  );
  for (const [i, { name, position, lineage }] of others.entries()) {
    const log = lineages[i] ?? { timeline: current, ends: [] };
    if (!isOnLog(position, lineage, log) && !isOlder(log, lineage)) throw notOnLog(name, position);
  }
}

/**
 * Draws a store id for these files and this Redis, unless they have one. In the files first: an id that only Redis
 * knows proves nothing.
 */
export async function pair(redis: Redis, catalog: Catalog, reads = redis): Promise<void> {
  if (await isPaired(reads, catalog)) return;
  const storeId = randomUUID();
  await catalog.adopt(storeId);
  await runScript(redis, "return redis.call('SET', KEYS[1], ARGV[1])", [storeKey], storeId);
}

/** Whether these files and this Redis have met, and Redis has not forgotten that. */
export async function isPaired(redis: Redis, { storeId }: Catalog): Promise<boolean> {
  return storeId !== undefined && (await redis.get(storeKey)) === storeId;
}

async function wasDropped(redis: Redis, catalog: Catalog, name: string, begin: string): Promise<boolean> {
  const dropId = catalog.dropId(name);
  if (dropId === undefined || compareIds(begin, dropId) >= 0) return false;
  // One that was lost at a fail-over is not completed.
  const { current, lineages } = await readLineages(redis, [controlField]);
  const log = lineages[0] ?? { timeline: current, ends: [] };
  const { lineage } = catalog.control;
  if (current !== "" && !isOnLog(dropId, lineage, log) && !isOlder(log, lineage)) return false;
  const end = await lastId(redis, logStream(name));
  return end === undefined || compareIds(end, dropId) < 0;
}

function notCovered(name: string, begin: string, state: string): Error {
  return new Error(
    `the log of collection '${name}' begins after ${begin}, but the files of this data directory ${state}; ` +
      `use the data directory it belongs to, or give up its data: DEL ${logStream(name)}, HDEL ${collectionsKey} ${name}`,
  );
}

function notOnLog(name: string, position: string): Error {
  return new Error(
    `the files of collection '${name}' end at ${position}, with writes that were lost at a fail-over: another leader ` +
      "has gone on without them; follow it (--role auto), or use an empty directory; " +
      `to serve these files all the same: DEL ${timelinesKey}`,
  );
}
