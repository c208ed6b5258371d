/**
 * When the log is told of a followed key: by servers before 7.2 at once, within the command; by later ones once the
 * whole transaction is over. The same tests of following run on both: see vitest.config.ts.
 */
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isServerSince } from "../../harness/server-program.ts";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { createFollowing } from "../harness/following.ts";
import { fp32 } from "../harness/fp32.ts";

let vstore: Vstore;
let redis: Redis;

beforeAll(async () => {
  vstore = await startVstore();
  redis = new Redis(vstore.url, { protocol: 2 });
  await createFollowing(redis, "docs", "FROM", "HASH", "FIELD", "embedding");
});
afterAll(async () => {
  redis.disconnect();
  await vstore.stop();
});

test("the tests of newer servers run on one", () => {
  if (process.env.VSTORE_TEST_SERVER === "newer") expect(isServerSince(7, 2)).toBe(true);
});

test("an entry of a stream client in a transaction comes before or after what the transaction did to keys", async () => {
  const log = "vstore:{docs}:log";
  const transaction = redis.multi().hset("docs:1", "embedding", fp32(1, 2));
  await transaction.xadd(log, "*", "cmd", "SWEEP", "0", "docs").exec();
  const entries = await redis.xrevrange(log, "+", "-", "COUNT", 2);
  const names = entries.reverse().map(([, fields]) => fields[1]);
  expect(names).toEqual(isServerSince(7, 2) ? ["SWEEP", "FOLLOWED"] : ["FOLLOWED", "SWEEP"]);
});
