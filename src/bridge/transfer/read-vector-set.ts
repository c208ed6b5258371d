/**
 * A vector set of Redis 8. VEMB gives its vectors: those of a quantized set only approximately. There
 * is no cursor over its elements on every version, so their names are read at once.
 */
import { connect } from "../redis/connection.ts";

const elementsAtOnce = 500;
const noName = Buffer.alloc(0);

export interface Element {
  readonly name: Buffer;
  readonly vector: Float32Array;
  /** JSON text, empty for none. */
  readonly attributes: string;
}

/**
 * In the order of their names' bytes.
 *
 * @param from the least name
 * @throws Error of Redis, such as one that knows no vector sets
 */
export async function* readVectorSet(url: string, key: string, from = noName): AsyncGenerator<Element[]> {
  const redis = await connect(url, "vstore-import");
  try {
    const count = Number(await redis.call("VCARD", key));
    const all = (await redis.callBuffer("VRANDMEMBER", key, count)) as Buffer[];
    const names = all.filter((name) => name.compare(from) >= 0).sort((a, b) => a.compare(b));
    for (let at = 0; at < names.length; at += elementsAtOnce) {
      const some = names.slice(at, at + elementsAtOnce);
      const vectors = await Promise.all(
        some.map((name) => redis.call("VEMB", key, name) as Promise<string[] | null>),
      );
      const texts = await Promise.all(
        some.map((name) => redis.call("VGETATTR", key, name) as Promise<string | null>),
      );
      yield some.flatMap((name, i) => {
        const vector = vectors[i];
        // It was removed meanwhile.
        return vector
          ? [{ name, vector: Float32Array.from(vector, Number), attributes: texts[i] ?? "" }]
          : [];
      });
    }
  } finally {
    redis.disconnect();
  }
}
