/** All rows of a collection, through Redis, as any client could read them: SCAN with details and MGET, in pages. */
import type { Redis } from "ioredis";
import { connect } from "../redis/connection.ts";
import type { Row } from "./row.ts";

const pageRowsMax = 1_000;
/** Bytes of the vectors of a page. */
const pageBytesMax = 8 * 1024 * 1024;

export interface ReadOptions {
  readonly url: string;
  readonly collection: string;
  readonly dimensions: number;
  readonly withAttributes: boolean;
  readonly withExpireTimes: boolean;
  readonly filter?: string | undefined;
}

/** While one page is consumed the next one is read. @throws Error of Redis */
export async function* readCollection(options: ReadOptions): AsyncGenerator<Row[]> {
  const redis = await connect(options.url, "vstore-export");
  try {
    let position = 0;
    let coming = page(redis, options, "0");
    for (let cursor = ""; cursor !== "0"; ) {
      const read = await coming;
      cursor = read.cursor;
      if (cursor !== "0") coming = page(redis, options, cursor);
      // Its failure is met when it is awaited; the consumer may leave before.
      coming.catch(() => {});
      const rows = read.rows.map((row) => ({ ...row, position, place: ++position }));
      yield rows;
    }
  } finally {
    redis.disconnect();
  }
}

type Entry = Pick<Row, "attributes" | "expiresAt"> & { readonly key: Buffer };
type Read = Omit<Row, "position" | "place">;

async function page(
  redis: Redis,
  options: ReadOptions,
  from: string,
): Promise<{ cursor: string; rows: Read[] }> {
  const { collection, dimensions } = options;
  const pageRows = Math.max(1, Math.min(pageRowsMax, Math.floor(pageBytesMax / (4 * dimensions))));
  const words = [...filterWords(options), "COUNT", pageRows, ...detailWords(options)];
  const reply = await redis.callBuffer("VSTORE.SCAN", collection, from, ...words);
  const [cursor, found] = reply as [Buffer, (Buffer | Details)[]];
  const entries = found.map((each) => entryOf(each, options));
  if (entries.length === 0) return { cursor: cursor.toString(), rows: [] };
  const keys = entries.map(({ key }) => key);
  const vectors = await redis.callBuffer("VSTORE.MGET", collection, "RAW", keys.length, ...keys);
  const rows = entries.flatMap((entry, i): Read[] => {
    const vector = (vectors as (Buffer | null)[])[i];
    // It was deleted meanwhile.
    return vector == null ? [] : [{ ...entry, vector: floats(vector) }];
  });
  return { cursor: cursor.toString(), rows };
}

const filterWords = ({ filter }: ReadOptions) => (filter === undefined ? [] : ["FILTER", filter]);

const detailWords = ({ withAttributes, withExpireTimes }: ReadOptions) => [
  ...(withAttributes ? ["WITHATTRS"] : []),
  ...(withExpireTimes ? ["WITHEXPIRETIME"] : []),
];

type Details = [key: Buffer, ...details: (Buffer | number | null)[]];

function entryOf(found: Buffer | Details, { withAttributes, withExpireTimes }: ReadOptions): Entry {
  if (Buffer.isBuffer(found)) return { key: found };
  const [key, ...details] = found;
  const attributes = withAttributes ? (details.shift()?.toString() ?? undefined) : undefined;
  const time = withExpireTimes ? Number(details.shift()) : -1;
  return { key, attributes, expiresAt: time < 0 ? undefined : time };
}

/** A copy: the bytes of an answer begin anywhere. */
function floats(bytes: Buffer): Float32Array {
  const vector = new Float32Array(bytes.length / 4);
  Buffer.from(vector.buffer).set(bytes);
  return vector;
}
