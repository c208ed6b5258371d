/**
 * Brings the streams in Redis in step with the files, before the sidecar serves and whenever collections come and
 * go. The rule for each stream is the table in PROTOCOL.md: what it has beyond the files will be read; where it
 * lacks what the files have, it is moved forward, so that no new entry gets an id that was passed already.
 */
import type { Redis } from "ioredis";
import type { Catalog } from "../engine/catalog.ts";
import type { Collection } from "../engine/collection.ts";
import { compareIds, FIRST_ID } from "../engine/log-id.ts";
import type { Logger } from "../log.ts";
import { positionOf, usable } from "./sources.ts";
import { collectionsKey, controlStream, errorsStream, logStream, queriesStream } from "./streams.ts";

/** @throws Error when a log begins after the end of the files: they are not the ones it belongs to. */
export async function reconcile(redis: Redis, catalog: Catalog, log: Logger): Promise<void> {
  await checkCoverage(redis, catalog);
  for (const collection of catalog.collections()) await alignLog(redis, collection, log);
  await align(redis, controlStream, catalog.controlId, async () => {});
}

/** The last ids of the logs that nobody may touch, because the files they belong to are damaged. */
export async function endsOfDamaged(redis: Redis, catalog: Catalog): Promise<Map<string, string>> {
  const ends = new Map<string, string>();
  for (const name of catalog.names()) {
    if (usable(catalog, name) === undefined)
      ends.set(name, (await lastId(redis, logStream(name))) ?? FIRST_ID);
  }
  return ends;
}

/** Makes sure that the collection's log exists and does not lag behind its files. */
export async function alignLog(redis: Redis, collection: Collection, log: Logger): Promise<void> {
  const stream = logStream(collection.name);
  const id = positionOf(collection);
  await align(redis, stream, id, async () => {
    log.debug({ stream, id }, "the log ends before the files do; moving it forward");
    await collection.checkpoint();
  });
  await redis.hsetnx(collectionsKey, collection.name, collection.createdId);
}

/** To be called before a collection is dropped, so that its absence from the files is no surprise after a crash. */
export async function expectDrop(redis: Redis, name: string): Promise<void> {
  await redis.hdel(collectionsKey, name);
}

/** Removes everything that Redis holds of a collection that was dropped. */
export async function forgetCollection(redis: Redis, name: string): Promise<void> {
  await redis.unlink(logStream(name), queriesStream(name), errorsStream(name));
}

/** `secure` makes safe in the files what Redis has forgotten, before the stream's last id moves past it. */
async function align(redis: Redis, stream: string, id: string, secure: () => Promise<void>): Promise<void> {
  const last = await lastId(redis, stream);
  if (last !== undefined && compareIds(last, id) >= 0) return;
  await secure();
  if (last === undefined) await createEmpty(redis, stream);
  await redis.call("XSETID", stream, id);
}

/** Creating a consumer group is the only way to make an empty stream; the group is not wanted. */
async function createEmpty(redis: Redis, stream: string): Promise<void> {
  await redis
    .multi()
    .call("XGROUP", "CREATE", stream, "vstore", "$", "MKSTREAM")
    .call("XGROUP", "DESTROY", stream, "vstore")
    .exec();
}

async function lastId(redis: Redis, stream: string): Promise<string | undefined> {
  if ((await redis.exists(stream)) === 0) return undefined;
  const info = (await redis.call("XINFO", "STREAM", stream)) as unknown[];
  return String(info[info.indexOf("last-generated-id") + 1]);
}

/** The log of a collection says where it begins; files that end before that cannot be completed from it. */
async function checkCoverage(redis: Redis, catalog: Catalog): Promise<void> {
  const known = new Set(catalog.names());
  for (const [name, begin] of Object.entries(await redis.hgetall(collectionsKey))) {
    const collection = usable(catalog, name);
    if (collection !== undefined && compareIds(positionOf(collection), begin) < 0) {
      throw notCovered(name, begin, `end at ${positionOf(collection)}`);
    }
    if (!known.has(name)) throw notCovered(name, begin, "do not have it");
  }
}

function notCovered(name: string, begin: string, state: string): Error {
  return new Error(
    `the log of collection '${name}' begins after ${begin}, but the files of this data directory ${state}; ` +
      `use the data directory it belongs to, or give up its data: DEL ${logStream(name)}, HDEL ${collectionsKey} ${name}`,
  );
}
