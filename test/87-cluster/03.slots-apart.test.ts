/**
 * What a command changes in other slots than its own. Redis 7.4 and Valkey 8, and newer ones, keep the keys of each
 * slot apart: there a key is looked up in the slot of the command that runs, and Valkey ends itself in these tests
 * where that is not the slot of the key.
 */
import { afterAll, test as always, beforeAll, expect } from "vitest";
import { type ClusterNode, RedisCluster } from "../../harness/cluster.ts";
import { ownDirectory, removeWithProcesses } from "../../harness/left-behind.ts";
import { isServerSince } from "../../harness/server-program.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { until } from "../harness/serving.ts";

/** On older servers other chapters test the same. */
const areApart = isServerSince(7, 4);
const test = always.skipIf(!areApart);

let cluster: RedisCluster;
let node: ClusterNode;
let replica: ClusterNode;
let sidecar: SidecarProcess;
let redis: ClusterNode["redis"];
const dataDir = ownDirectory("data");

const serve = () => startSidecar({ redisUrl: node.server.url, dataDir });
const create = (name: string, ...options: string[]) =>
  redis.call("VSTORE.CREATE", name, "DIM", 2, "METRIC", "L2", ...options);
const insert = (name: string, key: string, ...vector: number[]) =>
  redis.call("VSTORE.INSERT", name, key, "FP32", fp32(...vector));
const nearest = (name: string, ...query: number[]) =>
  redis.call("VSTORE.SEARCH", name, "FP32", fp32(...query), "COUNT", 1) as Promise<string[]>;
const exists = (name: string, ...keys: string[]) => redis.call("VSTORE.EXISTS", name, ...keys);
const queued = expect.stringMatching(/^QUEUED /);
const untilIs = (get: () => Promise<unknown>, wanted: unknown) =>
  until(
    () => get().catch(String),
    (found) => found === wanted,
  );

/** Keys that are shown, and not found under their names. */
async function misplaced({ redis }: ClusterNode): Promise<string[]> {
  const keys = (await redis.keys("*")).filter((key) => !/:bull\{|:snapshot/.test(key));
  const found = await Promise.all(keys.map((key) => redis.exists(key)));
  return keys.filter((_, i) => found[i] !== 1);
}

beforeAll(async () => {
  if (!areApart) return;
  cluster = await RedisCluster.start(1, { appendonly: "always" });
  node = cluster.nodes[0]!;
  redis = node.redis;
  replica = await cluster.addReplica(node);
  sidecar = serve();
  await sidecar.waitReady();
});

afterAll(async () => {
  if (!areApart) return;
  await sidecar.kill();
  await cluster.stop();
  removeWithProcesses(dataDir);
});

test("collections are made and dropped, alone, in transactions and in scripts", async () => {
  expect(await create("docs")).toBe("OK");
  await expect(create("docs")).rejects.toThrow(/^EXISTS |already/);
  await redis.multi().call("VSTORE.CREATE", "songs", "DIM", 2).set("{songs}:made", 1).exec();
  const script = "return redis.call('VSTORE.CREATE', KEYS[1], 'DIM', 2)";
  expect(await redis.eval(script, 1, "images")).toMatch(/^QUEUED /);
  await untilIs(async () => String(await redis.call("VSTORE.LIST")), "docs,images,songs");
  expect(await redis.multi().call("VSTORE.DROP", "images").exec()).toMatchObject([[null, queued]]);
  await untilIs(() => insert("images", "a", 1, 1), "ReplyError: NOCOLLECTION no collection 'images'");
  expect(await redis.call("VSTORE.DROP", "songs")).toBe("OK");
  await expect(nearest("songs", 1, 1)).rejects.toThrow(/^NOCOLLECTION /);
});

test("many clients write and search at the same time, and each hears its own answer", async () => {
  const clients = Array.from({ length: 8 }, () => redis.duplicate());
  await Promise.all(
    clients.map(async (client, x) => {
      for (let y = 0; y < 25; y++) {
        await client.call("VSTORE.INSERT", "docs", `${x}:${y}`, "FP32", fp32(x, y));
        const found = await client.call("VSTORE.SEARCH", "docs", "FP32", fp32(x, y), "COUNT", 1);
        expect(found).toEqual([`${x}:${y}`]);
      }
    }),
  );
  for (const client of clients) client.disconnect();
  expect(await redis.call("VSTORE.CARD", "docs")).toBe(200);
});

test("followed keys of any slot end their vectors, in the order of the commands", async () => {
  await create("users", "FOLLOW", "PREFIX", "user:");
  // The sidecar looks at the keys once, and ends the vectors of those that are not there.
  const tag = /^vstore_tag:(\d+)/m.exec(await redis.info("vstore"))![1];
  await untilIs(() => redis.hget(`vstore:synced{${tag}}`, "users"), "synced");
  for (const key of ["user:1", "user:2", "user:3"]) {
    await redis.set(key, "here");
    await insert("users", key, 1, 1);
  }
  await redis.pipeline().del("user:1").call("VSTORE.CARD", "users").exec();
  expect(await exists("users", "user:1")).toBe(0);
  // The vector that comes after the end of its key is one that stays.
  const both = redis.pipeline().del("user:2");
  both.call("VSTORE.INSERT", "users", "user:2", "FP32", fp32(2, 2));
  await both.exec();
  await redis.pexpire("user:3", 1);
  await untilIs(() => exists("users", "user:1", "user:2", "user:3"), 1);
  expect(await nearest("users", 2, 2)).toEqual(["user:2"]);
});

test("followed hashes of any slot are copied as they are when their command is over", async () => {
  await create("pages", "FOLLOW", "PREFIX", "page:", "FROM", "HASH", "FIELD", "v", "ATTRS", "title");
  await redis.hset("page:1", { v: fp32(1, 2), title: "one" });
  await redis.multi().hset("page:2", "v", fp32(5, 5)).hset("page:2", "v", fp32(6, 6)).exec();
  const dump = (await redis.dumpBuffer("page:1"))!;
  await redis.call("RESTORE", "page:3", 0, dump);
  await untilIs(() => exists("pages", "page:1", "page:2", "page:3"), 3);
  expect(await nearest("pages", 6, 6)).toEqual(["page:2"]);
  expect(await redis.call("VSTORE.GETATTR", "pages", "page:3")).toBe('{"title":"one"}');
  await redis.unlink("page:2");
  await untilIs(() => exists("pages", "page:2"), 0);
});

test("a cache, whose values are in its own slot, is dropped with them", async () => {
  await redis.call("VSTORE.CACHE.CREATE", "answers", "DIM", 2, "MAXBYTES", 2 ** 20);
  const ask = () => redis.call("VSTORE.CACHE.GET", "answers", "FP32", fp32(1, 2));
  await redis.call("VSTORE.CACHE.SET", "answers", "FP32", fp32(1, 2), "VALUE", "42", "ID", "a");
  expect(String(await ask())).toContain("42");
  await redis.del("{answers}:a");
  expect(await ask()).toBeNull();
  await redis.call("VSTORE.CACHE.SET", "answers", "FP32", fp32(1, 2), "VALUE", "43", "ID", "a");
  expect(await redis.call("VSTORE.DROP", "answers")).toBe("OK");
  await untilIs(() => redis.exists("{answers}:a"), 0);
});

test("a log that is deleted or replaced is made again, and no vector is lost", async () => {
  const losses = async () => {
    const facts = (await redis.call("VSTORE.INFO", "docs")) as unknown[];
    return facts[facts.indexOf("log_losses") + 1];
  };
  expect(await losses()).toBe(0);
  await redis.del("vstore:{docs}:log");
  await untilIs(() => insert("docs", "after", 90, 90), 1);
  await untilIs(losses, 1);
  // Its counts are the same: only the module knows that it is another stream.
  const dump = (await redis.dumpBuffer("vstore:{docs}:log"))!;
  await redis.call("RESTORE", "vstore:{docs}:log", 0, dump, "REPLACE");
  await untilIs(losses, 2);
  expect(await insert("docs", "later", 91, 91)).toBe(1);
  expect(await exists("docs", "0:0", "7:24", "after", "later")).toBe(4);
});

test("while a transaction keeps writes paused, what it has asked of other slots waits", async () => {
  const pause = ["CLIENT", "PAUSE", "300", "WRITE"] as const;
  const create = redis.multi().call("VSTORE.CREATE", "late", "DIM", 2);
  expect(await create.call(...pause).exec()).toMatchObject([
    [null, queued],
    [null, "OK"],
  ]);
  await untilIs(() => insert("late", "a", 1, 1), 1);
  await redis.set("user:2", "again");
  await redis
    .multi()
    .del("user:2")
    .call(...pause)
    .exec();
  await untilIs(() => exists("users", "user:2"), 0);
});

test("every key is found in its slot, on the replica and after a restart too", async () => {
  expect(await misplaced(node)).toEqual([]);
  await replica.redis.readonly();
  expect(await misplaced(replica)).toEqual([]);
  await sidecar.kill();
  await node.server.kill();
  await node.server.run();
  await cluster.untilWhole();
  sidecar = serve();
  await sidecar.waitReady();
  expect(await misplaced(node)).toEqual([]);
  expect(await exists("docs", "0:0", "7:24", "after", "later")).toBe(4);
  expect(await insert("docs", "at last", 99, 99)).toBe(1);
  expect(await nearest("docs", 99, 99)).toEqual(["at last"]);
});
