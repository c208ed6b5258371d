/** A log is trimmed past a follower: that is told once of each collection, and forgotten with it. */
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { Followers } from "../../src/bridge/followers/followers.ts";
import { collectionsKey, followerKey, followersKey } from "../../src/bridge/redis/keys.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import { resolveOptions } from "../../src/engine/options.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { connectClient } from "../harness/serving.ts";

let redis: RedisServer;
let client: ReturnType<typeof connectClient>;

beforeAll(async () => {
  redis = await startRedis();
  client = connectClient(redis.url);
});
afterAll(async () => {
  client?.disconnect();
  await redis?.stop();
});

test("it is told once of each collection, and anew of another one of its name and for a follower that was gone", async () => {
  const told: { follower: string; collection: string }[] = [];
  const log = pino({}, { write: (line: string) => told.push(JSON.parse(line)) });
  const followers = new Followers(client, client, {
    role: "leader",
    followerId: "leader",
    followerLogBytes: 0,
    log,
  });
  const catalog = await Catalog.open(temporaryDirectory());
  const options = resolveOptions({ dimensions: 1 });
  const trims = async (name: string, id: string) => {
    await followers.look();
    const collection = catalog.get(name);
    followers.count(collection, 100);
    expect(followers.limit(collection, id)).toBe(id);
    return told.splice(0).map(({ follower, collection }) => [follower, collection]);
  };
  const comes = async () => {
    await client.hset(followersKey, "f", "1 in step");
    await client.hset(followerKey("f"), "docs", "2-0", "words", "3-0");
  };
  await catalog.create("docs", options, "1-0");
  await catalog.create("words", options, "2-0");
  await client.hset(collectionsKey, "docs", "1-0", "words", "2-0");
  await comes();
  expect(await trims("docs", "5-0")).toEqual([["f", "docs"]]);
  expect(await trims("docs", "6-0")).toEqual([]);
  expect(await trims("words", "6-0")).toEqual([["f", "words"]]);
  await catalog.drop("docs", "7-0");
  await catalog.create("docs", options, "8-0");
  await client.hset(collectionsKey, "docs", "8-0");
  await client.hset(followerKey("f"), "docs", "8-0");
  expect(await trims("docs", "9-0")).toEqual([["f", "docs"]]);
  await client.del(followersKey);
  expect(await trims("docs", "10-0")).toEqual([]);
  await comes();
  expect(await trims("words", "11-0")).toEqual([["f", "words"]]);
  await catalog.close();
});
