/**
 * The keys that tell the module which collections have parts: it has their writes travel as reads then, and no log of
 * this node keeps them. A key that is missing is put back within a second; until then such writes are refused.
 */
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import { shardsKey } from "../redis/keys.ts";
import { ignoreElsewhere } from "../redis/node.ts";

export async function restoreMarks(redis: Redis, reads: Redis, catalog: Catalog): Promise<void> {
  const names = catalog.collections().filter(({ options }) => options.shards !== undefined);
  await Promise.all(
    names.map(async ({ name, options }) => {
      const isThere = await reads.exists(shardsKey(name)).catch(ignoreElsewhere);
      if (isThere === 0) await redis.set(shardsKey(name), options.shards!.length).catch(ignoreElsewhere);
    }),
  );
}
