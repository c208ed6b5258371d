/** What users of a cache may do: the module asks the ACL for every string that it stores, shows or has deleted. */
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { cacheGet } from "../harness/caches.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient } from "../harness/serving.ts";

let vstore: Vstore;
let redis: Redis;
const east = fp32(1, 0);

beforeAll(async () => {
  vstore = await startVstore();
  redis = connectClient(vstore.url);
  await redis.call("VSTORE.CACHE.CREATE", "answers", "DIM", 2);
});
afterAll(async () => {
  redis.disconnect();
  await vstore.stop();
});
beforeEach(async () => {
  await redis.call("VSTORE.CACHE.SET", "answers", "FP32", east, "VALUE", "secret", "ID", "1", "TAGS", 1, "t");
});

const commands = "+vstore.cache.create +vstore.cache.set +vstore.cache.get +vstore.cache.del +multi +exec";

async function guest(rules: string): Promise<Redis> {
  await redis.acl(
    "SETUSER",
    "guest",
    "reset",
    "on",
    ">pw",
    ...`${commands} ~answers ${rules}`.split(" ").filter(Boolean),
  );
  const client = new Redis(vstore.url, {
    protocol: 2,
    username: "guest",
    password: "pw",
    lazyConnect: true,
    enableReadyCheck: false,
  });
  await client.connect();
  onTestFinished(() => client.disconnect());
  return client;
}

test("a user that may read the values gets them", async () => {
  const client = await guest("%R~{answers}:* +get");
  expect(await cacheGet(client, "answers", "FP32", east)).toMatchObject({ value: "secret" });
});

test.each([
  ["not read their keys", "+get"],
  ["not send GET", "~{answers}:*"],
  ["read others only", "+get %R~{answers}:2*"],
])("a user that may %s gets none", async (_, rules) => {
  const client = await guest(rules);
  await expect(cacheGet(client, "answers", "FP32", east)).rejects.toThrow("NOPERM CACHE.GET shows a string");
});

test.each([
  ["not write their keys", "+set %R~{answers}:*"],
  ["not send SET", "~{answers}:*"],
])("a user that may %s stores none, and nothing changes", async (_, rules) => {
  const client = await guest(rules);
  const words = ["FP32", fp32(0, 1), "VALUE", "forged", "ID", "1"];
  await expect(client.call("VSTORE.CACHE.SET", "answers", ...words)).rejects.toThrow("NOPERM CACHE.SET");
  await expect(
    client
      .multi()
      .call("VSTORE.CACHE.SET", "answers", ...words)
      .exec(),
  ).resolves.toMatchObject([[{ message: expect.stringContaining("NOPERM CACHE.SET") }]]);
  expect(await cacheGet(redis, "answers", "FP32", east)).toMatchObject({ value: "secret", distance: 0 });
});

test("a user that may not delete them ends none", async () => {
  const client = await guest("+set +get +del %R~{answers}:*");
  for (const words of [
    ["ID", "1"],
    ["TAG", "t"],
  ])
    await expect(client.call("VSTORE.CACHE.DEL", "answers", ...words)).rejects.toThrow("NOPERM CACHE.DEL");
  expect(await cacheGet(redis, "answers", "FP32", east)).toMatchObject({ value: "secret" });
});

test("only a user that may read all values makes a cache", async () => {
  const words = ["VSTORE.CACHE.CREATE", "answers2", "DIM", "2"] as const;
  const client = await guest("~answers2 %R~{answers2}:a*");
  await expect(client.call(...words)).rejects.toThrow("NOPERM");
  await redis.acl("SETUSER", "guest", "%R~{answers2}:*");
  expect(await client.call(...words)).toBe("OK");
});

test("only the sidecar deletes values by VSTORE.RELEASE", async () => {
  await expect(redis.call("VSTORE.RELEASE", "answers", "{answers}:1", "0".repeat(16))).rejects.toThrow(
    "NOPERM",
  );
});

test("the words of the module cannot be a client's", async () => {
  const forged = ["ENTRY", "{answers}:9", "0".repeat(16), "1", "0", ""];
  const set = ["VSTORE.CACHE.SET", "answers", "FP32", east, "VALUE", "v"] as const;
  await expect(redis.call(...set, ...forged)).rejects.toThrow("unknown option 'ENTRY'");
  await expect(redis.call("VSTORE.CACHE.GET", "answers", "FP32", east, "ENTRY", "1")).rejects.toThrow(
    "unknown option",
  );
});
