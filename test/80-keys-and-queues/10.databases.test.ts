/** Clients of other databases: what they bring into database 0 is followed, and they stay where they are. */
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { isServerSince } from "../../harness/server-program.ts";
import { startSidecar } from "../../harness/sidecar.ts";
import { connectClient } from "../harness/serving.ts";

const log = "vstore:{h}:log";
/**
 * Valkey's own fault: where a module listens to keys, COPY leaves its client in the other database (their pull request
 * 4024).
 */
const copyMovesItsClient = isServerSince(8, 1) && !isServerSince(9, 1);

let server: RedisServer;
let redis: Redis;
let other: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = connectClient(server.url);
});
beforeEach(async () => {
  await redis.flushall();
  await redis.xgroup("CREATE", log, "none", "$", "MKSTREAM");
  await redis.hset("vstore:follows", "h", "2:h:,1:v,");
  other = new Redis(`${server.url}/1`, { protocol: 2 });
  await other.hset("h:1", "v", "one");
});
afterEach(() => other.disconnect());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

/** Key and value of each FOLLOWED. */
async function followed(): Promise<string[]> {
  const entries = await redis.xrange(log, "-", "+");
  return entries.map(([, fields]) => `${fields[1]} ${fields[7]} ${fields[9]}`);
}

async function expectToStay(): Promise<void> {
  await other.set("beside", "in 1");
  expect(await redis.exists("beside")).toBe(0);
  expect(await other.call("CLIENT", "INFO")).toContain(" db=1 ");
}

describe.each<[string, (client: Redis) => Promise<unknown>, string]>([
  ["MOVE", (client) => client.move("h:1", 0), "FOLLOWED h:1 one"],
  ["MOVE in MULTI", (client) => client.multi().move("h:1", 0).set("after", 1).exec(), "FOLLOWED h:1 one"],
  ["COPY", (client) => client.copy("h:1", "h:2", "DB", 0), "FOLLOWED h:2 one"],
  [
    "COPY in MULTI",
    (client) => client.multi().copy("h:1", "h:2", "DB", 0).set("after", 1).exec(),
    "FOLLOWED h:2 one",
  ],
])("%s into database 0", (name, bring, wanted) => {
  test("is followed", async () => {
    await bring(other);
    expect(await followed()).toEqual([wanted]);
  });

  test.skipIf(name.startsWith("COPY") && copyMovesItsClient)("leaves the client where it is", async () => {
    await bring(other);
    await expectToStay();
    expect(await redis.exists("after")).toBe(0);
  });
});

test("what happens in other databases is not followed", async () => {
  await redis.hset("h:1", "v", "two");
  await redis.move("h:1", 2);
  await other.multi().hset("h:1", "v", "three").copy("h:1", "h:9", "DB", 2).del("h:1").exec();
  expect(await followed()).toEqual(["FOLLOWED h:1 two", "DEL h:1 undefined"]);
});

test("a sidecar whose database Redis does not have says so, and does not serve another", async () => {
  const sidecar = startSidecar({ redisUrl: `${server.url}/99` });
  await sidecar.waitLog("database 99");
  expect(sidecar.stdout).not.toContain("vstore ready");
  expect(await redis.exists("vstore:epoch")).toBe(0);
  await sidecar.kill();
});
