/** All rows of a collection, through Redis, as any client could read them: SCAN, MGET and GETATTR, in pages. */
import type { Redis } from "ioredis";
import { connect } from "../redis/connection.ts";
import type { Row } from "./row.ts";

const pageRowsMax = 1_000;
/** Bytes of the vectors of a page. */
const pageBytesMax = 8 * 1024 * 1024;
/** One connection has one answer under way, so attributes are read over several. */
const connections = 8;

export interface ReadOptions {
  readonly url: string;
  readonly collection: string;
  readonly dimensions: number;
  readonly withAttributes: boolean;
  readonly filter?: string | undefined;
}

/** While one page is consumed the next one is read. @throws Error of Redis */
export async function* readCollection(options: ReadOptions): AsyncGenerator<Row[]> {
  const { url, dimensions } = options;
  const redises = await Promise.all(Array.from({ length: connections }, () => connect(url, "vstore-export")));
  const pageRows = Math.max(1, Math.min(pageRowsMax, Math.floor(pageBytesMax / (4 * dimensions))));
  try {
    let position = 0;
    let coming = page(redises, options, "0", pageRows);
    for (let cursor = ""; cursor !== "0"; ) {
      const read = await coming;
      cursor = read.cursor;
      if (cursor !== "0") coming = page(redises, options, cursor, pageRows);
      // Its failure is met when it is awaited; the consumer may leave before.
      coming.catch(() => {});
      const rows = read.rows.map((row) => ({ ...row, position, place: ++position }));
      yield rows;
    }
  } finally {
    for (const redis of redises) redis.disconnect();
  }
}

type Read = Omit<Row, "position" | "place">;

async function page(
  redises: readonly Redis[],
  { collection, withAttributes, filter }: ReadOptions,
  from: string,
  count: number,
): Promise<{ cursor: string; rows: Read[] }> {
  const [redis] = redises;
  const filtered = filter === undefined ? [] : ["FILTER", filter];
  const scan = await redis!.callBuffer("VSTORE.SCAN", collection, from, ...filtered, "COUNT", count);
  const [cursor, keys] = scan as [Buffer, Buffer[]];
  if (keys.length === 0) return { cursor: cursor.toString(), rows: [] };
  const vectors = (await redis!.callBuffer(
    "VSTORE.MGET",
    collection,
    "RAW",
    keys.length,
    ...keys,
  )) as (Buffer | null)[];
  const attributes = withAttributes ? await attributesOf(redises, collection, keys) : [];
  const rows = keys.flatMap((key, i): Read[] => {
    const vector = vectors[i];
    // It was deleted meanwhile.
    if (vector == null) return [];
    return [{ key, vector: floats(vector), attributes: attributes[i]?.toString() }];
  });
  return { cursor: cursor.toString(), rows };
}

function attributesOf(
  redises: readonly Redis[],
  collection: string,
  keys: readonly Buffer[],
): Promise<(Buffer | null)[]> {
  const read = (key: Buffer, i: number) =>
    redises[i % redises.length]!.callBuffer("VSTORE.GETATTR", collection, key) as Promise<Buffer | null>;
  return Promise.all(keys.map(read));
}

/** A copy: the bytes of an answer begin anywhere. */
function floats(bytes: Buffer): Float32Array {
  const vector = new Float32Array(bytes.length / 4);
  Buffer.from(vector.buffer).set(bytes);
  return vector;
}
