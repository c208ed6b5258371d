/**
 * Strays: entries of a log that are newer than the files but have smaller ids. A replica that took over without the end
 * of the log gave them ids by a clock that is behind, before a sidecar was there to move the log's last id forward.
 * They are applied in their order when the session begins, before the checkpoint.
 */
import type { Redis } from "ioredis";
import type { Collection } from "../../engine/collection.ts";
import { logStream } from "../redis/keys.ts";
import { decodeEntry, type Request } from "../requests/request.ts";
import type { AppliedIds } from "./applied-ids.ts";

/** Entries of one XRANGE: more only where those before were small, as one may have 64 MiB. */
const pageEntries = { min: 16, max: 512 } as const;
const pageBytesMax = 1024 * 1024;

/** Strays of the collection, oldest first. Only for a log that does not have the entry that the files end with. */
export async function* strays(
  redis: Redis,
  collection: Collection,
  applied: AppliedIds,
): AsyncGenerator<Request> {
  const stream = logStream(collection.name);
  const end = collection.position;
  let after = applied.oldest(collection);
  let count: number = pageEntries.min;
  while (after !== undefined) {
    const page = (await redis.callBuffer("XRANGE", stream, `(${after}`, end, "COUNT", count)) as [
      Buffer,
      Buffer[],
    ][];
    const entries = page.map(([id, fields]) => [id.toString("latin1"), fields] as const);
    const unknown = applied.unknown(
      collection,
      entries.map(([id]) => id),
    );
    for (const [id, fields] of entries) if (unknown.has(id)) yield decodeEntry(stream, id, fields);
    after = entries.at(-1)?.[0];
    count = bytesOf(page) < pageBytesMax ? Math.min(2 * count, pageEntries.max) : pageEntries.min;
  }
}

function bytesOf(page: readonly [Buffer, Buffer[]][]): number {
  return page.reduce((sum, [, fields]) => sum + fields.reduce((all, { length }) => all + length, 0), 0);
}
