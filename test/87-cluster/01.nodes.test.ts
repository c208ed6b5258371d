/** A Redis Cluster of three nodes with a sidecar each: cluster clients find collections where their names belong. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Queue } from "bullmq";
import type { Cluster } from "ioredis";
import { createCluster } from "redis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Vstore } from "../../client/index.ts";
import { type ClusterNode, type RedisCluster, slotsOf } from "../../harness/cluster.ts";
import { fp32 } from "../harness/fp32.ts";
import { base64, ingest } from "../harness/ingest-queue.ts";
import { expectNamed } from "../harness/part-down.ts";
import { ServedCluster } from "../harness/served-cluster.ts";
import { until } from "../harness/serving.ts";

/** Names with their slots on all three nodes, one of them with a hash tag of its own. */
const names = ["docs", "images", "songs", "user:{7}:notes", "user:{8}:notes", "user:{9}:notes"];

let cluster: ServedCluster;
let redis: RedisCluster;
let client: Cluster;

const fact = async ({ redis }: ClusterNode, field: string) =>
  new RegExp(`^vstore_${field}:(.*)\r$`, "m").exec(await redis.info("vstore"))?.[1];

const isServed = (node: ClusterNode) =>
  until(
    () => fact(node, "attached").catch(() => ""),
    (attached) => attached === "1",
  );

const nearest = async (name: string, ...query: number[]) =>
  (await client.call("VSTORE.SEARCH", name, "FP32", fp32(...query), "COUNT", 2)) as string[];

/** Those of `names` that the node has. */
async function served({ redis }: ClusterNode): Promise<string[]> {
  const all = (await redis.call("VSTORE.LIST")) as string[];
  return names.filter((name) => all.includes(name));
}

/** Keys of a node that lie in slots of others. */
async function misplaced(node: ClusterNode): Promise<string[]> {
  const own = await slotsOf(node);
  const keys = await node.redis.keys("*");
  const slots = await Promise.all(keys.map((key) => redis.slotOf(key)));
  expect(keys.length).toBeGreaterThan(4);
  return keys.filter((_, i) => !own.has(slots[i]!));
}

/** Parts that the nodes have, of collections of that name. */
async function partsOf(name: string): Promise<string[]> {
  const lists = await Promise.all(redis.nodes.map((node) => node.redis.call("VSTORE.LIST")));
  return (lists.flat() as string[]).filter((part) => part.endsWith(`:${name}`)).sort();
}

/** Begins a CREATE with parts, of which that of the node waits. Resolves when the others are there. */
async function cutCreate(name: string, node: ClusterNode) {
  await node.redis.call("CLIENT", "PAUSE", 600_000, "WRITE");
  const answer = client.call("VSTORE.CREATE", name, "DIM", 2, "METRIC", "L2", "SHARDS", 3).catch(String);
  const made = await until(
    () => partsOf(name.replaceAll(/[{}]/g, ".")),
    (parts) => parts.length === 2,
  );
  return { made, answer };
}

/** A collection with parts, at home where `cut` is. */
const whole = "{cut}:whole";

/** Resolves when no part is left, and nothing remembers one. */
async function untilNoPart(name: string): Promise<void> {
  await until(
    () => partsOf(name).catch(String),
    (parts) => parts.length === 0,
  );
  for (const { redis: node } of redis.nodes)
    await until(
      async () => (await node.keys("vstore:unfinished*")).length,
      (count) => count === 0,
    );
}

beforeAll(async () => {
  const env = { VSTORE_PART_TIMEOUT_MS: "60000" };
  const sidecar = { args: ["--checkpoint-interval-ms", "1000"], env };
  // Slots of nodes that live are served while another node does not.
  const redisArgs = ["--vstore.timeout", "120000", "--cluster-require-full-coverage", "no"];
  cluster = await ServedCluster.start(3, { redis: { appendonly: "always", args: redisArgs }, sidecar });
  ({ redis, client } = cluster);
});

afterAll(() => cluster?.stop());

test("each collection is made, written and searched on the node of its name", async () => {
  const homes = new Set<ClusterNode>();
  for (const [i, name] of names.entries()) {
    homes.add(await redis.nodeOf(name));
    await client.call("VSTORE.CREATE", name, "DIM", 2, "METRIC", "L2");
    for (const x of [0, 1, 2, 3])
      await client.call("VSTORE.INSERT", name, `${name}:${x}`, "FP32", fp32(x, i));
    expect(await nearest(name, 2.2, i)).toEqual([`${name}:2`, `${name}:3`]);
  }
  expect(homes.size).toBe(3);
  for (const node of redis.nodes) {
    const here: string[] = [];
    for (const name of names) if ((await redis.nodeOf(name)) === node) here.push(name);
    expect(await node.redis.call("VSTORE.LIST")).toEqual(here.sort());
  }
});

test("redis-cli -c follows MOVED, and another node sends it", async () => {
  const [, other] = await cluster.homeAndOther("docs");
  await expect(other.redis.call("VSTORE.CARD", "docs")).rejects.toThrow(/^MOVED /);
  const args = ["-c", "-p", String(other.server.port), "VSTORE.CARD", "docs"];
  expect(execFileSync("redis-cli", args, { encoding: "utf8" })).toBe("4\n");
});

test("the typed client goes over ioredis' Cluster", async () => {
  const vstore = new Vstore(client);
  for (const name of names) {
    expect(await vstore.insert(name, "typed", [70, 70])).toBe(1);
    expect(await vstore.search(name, [70, 70], { count: 1 })).toMatchObject([{ key: "typed" }]);
    expect(await vstore.del(name, ["typed"])).toBe(1);
  }
});

test("redis-cli -c writes and searches from any node", async () => {
  const [, other] = await cluster.homeAndOther("images");
  const cli = (...words: string[]) =>
    execFileSync("redis-cli", ["-c", "-p", String(other.server.port), ...words], { encoding: "utf8" });
  expect(cli("VSTORE.INSERT", "images", "by cli", "VALUES", "2", "70", "70")).toBe("1\n");
  expect(cli("VSTORE.SEARCH", "images", "VALUES", "2", "70", "70", "COUNT", "1")).toBe("by cli\n");
  expect(cli("VSTORE.DEL", "images", "by cli")).toBe("1\n");
});

test("node-redis goes to the node of the key that it is told", async () => {
  const rootNodes = redis.nodes.map(({ server }) => ({ url: server.url }));
  const cluster = await createCluster({ rootNodes }).connect();
  for (const name of names) {
    const send = (command: string, ...words: string[]) =>
      cluster.sendCommand(name, false, [`VSTORE.${command}`, name, ...words]);
    expect(await send("INSERT", "by node", "VALUES", "2", "70", "70")).toBe(1);
    expect(await send("SEARCH", "VALUES", "2", "70", "70", "COUNT", "1")).toEqual(["by node"]);
    expect(await send("DEL", "by node")).toBe(1);
  }
  cluster.destroy();
});

test("redis-py finds the node of a collection, and lists those of all nodes", () => {
  const program = fileURLToPath(new URL("../clients/redis_py_cluster.py", import.meta.url));
  const args = ["-B", program, String(redis.nodes[0]!.server.port), ...names];
  const { stdout, stderr } = spawnSync("/usr/bin/python3", args, { encoding: "utf8" });
  expect([stderr, stdout]).toEqual(["", "OK\n"]);
});

test("checkpoints run as jobs, and trim the logs", async () => {
  for (const name of names) {
    const log = `vstore:${name.includes("{") ? name : `{${name}}`}:log`;
    const { redis: home } = await redis.nodeOf(name);
    expect(await home.exists(log)).toBe(1);
    await until(
      () => home.xlen(log),
      (length) => length === 0,
    );
  }
});

test("jobs are ingested from the queue of the node", async () => {
  const node = await redis.nodeOf("docs");
  const prefix = `vstore:bull{${await fact(node, "tag")}}`;
  const queue = new Queue("vstore-ingest", { connection: { port: node.server.port }, prefix });
  const items = [{ key: "job:1", vector: base64(9, 9) }];
  expect(await ingest(queue, { collection: "docs", items })).toMatchObject({ inserted: 1 });
  const elsewhere = (await redis.nodeOf("images")) === node ? "songs" : "images";
  await expect(ingest(queue, { collection: elsewhere, items })).rejects.toThrow(/MOVED/);
  await queue.close();
  expect(await nearest("docs", 9, 9)).toContain("job:1");
});

test("values and followed keys of the collection's slot come and go with their vectors", async () => {
  await client.call("VSTORE.CREATE", "pages", "DIM", 2, "METRIC", "L2", "FOLLOW", "PREFIX", "{pages}:");
  await client.set("{pages}:1", "one");
  await client.call("VSTORE.INSERT", "pages", "{pages}:1", "FP32", fp32(1, 1));
  const query = ["VSTORE.SEARCH", "pages", "FP32", fp32(1, 1), "WITHVALUES"] as const;
  expect(await client.call(...query)).toEqual(["{pages}:1", "one"]);
  await client.del("{pages}:1");
  await until(
    () => client.call("VSTORE.CARD", "pages"),
    (count) => count === 0,
  );
  await client.call("VSTORE.CACHE.CREATE", "answers", "DIM", 2, "MAXBYTES", 2 ** 20);
  await client.call("VSTORE.CACHE.SET", "answers", "FP32", fp32(1, 2), "VALUE", "42");
  expect(String(await client.call("VSTORE.CACHE.GET", "answers", "FP32", fp32(1, 2)))).toContain("42");
});

test("a write is part of a transaction of its slot", async () => {
  const home = await redis.nodeOf("docs");
  const answers = await home.redis
    .multi()
    .set("{docs}:9", "nine")
    .call("VSTORE.INSERT", "docs", "{docs}:9", "FP32", fp32(40, 40))
    .exec();
  expect(answers?.map(([error]) => error)).toEqual([null, null]);
  await until(
    () => nearest("docs", 40, 40),
    ([key]) => key === "{docs}:9",
  );
});

test("every key of a node lies in its own slots", async () => {
  for (const node of redis.nodes) expect(await misplaced(node)).toEqual([]);
});

test("a collection whose slot has moved away is refused, and served again once it is back", async () => {
  const [home, other] = await cluster.homeAndOther("songs");
  const slot = await redis.slotOf("songs");
  const neighbours = await served(home);
  await redis.moveSlot(slot, home, other);
  await cluster.sidecars.get(home)!.waitLog("its slot has moved to another node of the cluster");
  const moved = /^NOCOLLECTION the slot of this collection was moved to this node/;
  await expect(nearest("songs", 0, 2)).rejects.toThrow(moved);
  const write = () => client.call("VSTORE.INSERT", "songs", "new", "FP32", fp32(0, 2.1));
  await expect(write()).rejects.toThrow(moved);
  const [transaction] = (await other.redis.multi().call("VSTORE.DEL", "songs", "new").exec())!;
  expect(transaction![0]?.message).toMatch(moved);
  for (const name of neighbours.filter((each) => each !== "songs"))
    expect(await nearest(name, 0, names.indexOf(name))).toContain(`${name}:0`);
  await redis.moveSlot(slot, other, home);
  await until(
    () => write().catch(String),
    (answer) => answer === 1 || answer === 0,
  );
  expect(await nearest("songs", 0, 2)).toEqual(["songs:0", "new"]);
});

test("a cache and a part whose slots have moved away are refused, and served again once they are back", async () => {
  const [home, other] = await cluster.homeAndOther("answers");
  await client.call("VSTORE.CREATE", whole, "DIM", 2, "METRIC", "L2", "SHARDS", 3);
  const keys = Array.from({ length: 60 }, (_, i) => `w${i}`);
  const blob = Buffer.concat(keys.map((_, i) => fp32(i, 0)));
  expect(await client.call("VSTORE.MINSERT", whole, keys.length, ...keys, "FP32", blob)).toBe(60);
  expect(await nearest(whole, 7, 0)).toHaveLength(2);
  const part = ((await home.redis.call("VSTORE.LIST")) as string[]).find((name) => name.endsWith(":whole"))!;
  const slots = await Promise.all(["answers", part].map((name) => redis.slotOf(name)));
  for (const slot of slots) await redis.moveSlot(slot, home, other);
  const moved = /NOCOLLECTION the slot of this collection was moved to this node/;
  const ask = () => client.call("VSTORE.CACHE.GET", "answers", "FP32", fp32(1, 2));
  const set = () => client.call("VSTORE.CACHE.SET", "answers", "FP32", fp32(5, 2), "VALUE", "43");
  for (const send of [ask, set]) await expect(send()).rejects.toThrow(moved);
  await until(
    () => nearest(whole, 7, 0).catch(String),
    (answer) => moved.test(String(answer)) && String(answer).includes(`PARTDOWN part '${part}' on `),
  );
  const writes = keys.map((key) => client.call("VSTORE.SETATTR", whole, key, "{}").catch(String));
  const answers = await Promise.all(writes);
  expect(answers.filter((answer) => answer !== 1 && !moved.test(String(answer)))).toEqual([]);
  expect(answers.filter((answer) => moved.test(String(answer))).length).toBeGreaterThan(5);
  for (const slot of slots) await redis.moveSlot(slot, other, home);
  await until(
    () => nearest(whole, 7, 0).catch(String),
    (found) => found[0] === "w7",
  );
  await until(
    () => set().catch(String),
    (answer) => !String(answer).includes("Error"),
  );
  // Its earlier entry may have ended: a value that leaves the node counts as deleted.
  const later = await client.call("VSTORE.CACHE.GET", "answers", "FP32", fp32(5, 2));
  expect(String(later)).toContain("43");
  expect(await client.call("VSTORE.CARD", whole)).toBe(60);
});

test("when the slot of vstore's own keys moves away, the node chooses another one", async () => {
  const [docs, node] = await cluster.homeAndOther("docs");
  const tag = (await fact(node, "tag"))!;
  await redis.moveSlot(await redis.slotOf(`{${tag}}`), node, docs);
  const now = await until(
    () => fact(node, "tag"),
    (other) => other !== tag,
  );
  // Its sidecar may be between two sessions.
  const here = await until(
    () => served(node).catch(() => undefined),
    (found) => found !== undefined,
  );
  for (const name of here!) {
    await until(
      () => nearest(name, 0, names.indexOf(name)).catch(String),
      (answer) => answer.includes(`${name}:0`),
    );
    // The search may have been answered before the sidecar was attached again.
    await until(
      () => client.call("VSTORE.INSERT", name, "moved", "FP32", fp32(-9, 9)).catch(String),
      (answer) => answer === 1,
    );
  }
  expect(await node.redis.exists(`vstore:collections{${now}}`, `vstore:store{${now}}`)).toBe(2);
  expect(await misplaced(node)).toEqual([]);
});

test("nothing is left of a CREATE with SHARDS that a node's crash has cut short", async () => {
  const [home, other] = await cluster.homeAndOther("cut");
  // Before the node is paused: then a busy machine may find no sidecar there that answers.
  const own = (await other.redis.call("VSTORE.LIST")) as string[];
  const { answer } = await cutCreate("cut", other);
  await other.server.kill();
  await expectNamed(whole, home, own.find((name) => name.endsWith(":whole"))!, other);
  expect(await answer).toMatch(/PARTDOWN part 'vstore:\{\d+\}:[0-9a-f]{12}:cut' on /);
  await other.server.run();
  await redis.untilWhole();
  await untilNoPart("cut");
  expect(await client.call("VSTORE.CARD", whole)).toBe(60);
  await expect(client.call("VSTORE.CARD", "cut")).rejects.toThrow(/^NOCOLLECTION /);
  // One that its node made late, after the CREATE was refused.
  const word = createHash("sha256").update("5-0 cut").digest("hex").slice(0, 12);
  const [part, tag] = [`vstore:{1}:${word}:cut`, await fact(home, "tag")];
  await client.call("VSTORE.CREATE", part, "DIM", 2);
  await home.redis.hset(
    `vstore:unfinished{${tag}}`,
    "5-0",
    JSON.stringify({ collection: "cut", parts: [part] }),
  );
  await untilNoPart("cut");
});

test("what stands among the parts to be dropped and is no part of its CREATE is left alone", async () => {
  const [home] = await cluster.homeAndOther("docs");
  const list = `vstore:unfinished{${await fact(home, "tag")}}`;
  const before = await client.call("VSTORE.CARD", "docs");
  const plan = (parts: unknown) => JSON.stringify({ collection: "cut", parts });
  const entries = [
    "no JSON",
    "null",
    "[]",
    plan("docs"),
    plan([7]),
    plan(["docs"]),
    plan(["vstore:{1}:0:docs"]),
  ];
  for (const [i, entry] of entries.entries()) await home.redis.hset(list, `${i + 5}-0`, entry);
  await until(
    () => home.redis.exists(list),
    (count) => count === 0,
  );
  expect(await client.call("VSTORE.CARD", "docs")).toBe(before);
  expect(await client.call("VSTORE.CARD", whole)).toBe(60);
});

test("a sidecar that is killed comes back with what was acknowledged, and finishes a CREATE with the same parts", async () => {
  const [node, other] = await cluster.homeAndOther("docs");
  await client.call("VSTORE.INSERT", "docs", "late", "FP32", fp32(50, 50));
  const tag = await fact(node, "tag");
  const { made, answer } = await cutCreate("{docs}:cut", other);
  await cluster.sidecars.get(node)!.kill();
  await cluster.serve(node).waitReady();
  await other.redis.call("CLIENT", "UNPAUSE");
  expect(await nearest("docs", 50, 50)).toContain("late");
  expect(await fact(node, "tag")).toBe(tag);
  expect(await answer).toBe("OK");
  const parts = await partsOf(".docs.:cut");
  expect(parts).toHaveLength(3);
  expect(parts).toEqual(expect.arrayContaining(made));
  expect(await client.call("VSTORE.INSERT", "{docs}:cut", "a", "FP32", fp32(1, 1))).toBe(1);
  expect(await nearest("{docs}:cut", 1, 1)).toEqual(["a"]);
  expect(await client.call("VSTORE.DROP", "{docs}:cut")).toBe("OK");
  await untilNoPart(".docs.:cut");
});

test("a node that is killed comes back with what was acknowledged", async () => {
  const node = await redis.nodeOf("docs");
  const tag = await fact(node, "tag");
  await node.server.kill();
  await node.server.run();
  await redis.untilWhole();
  await isServed(node);
  expect(await nearest("docs", 50, 50)).toContain("late");
  expect(await fact(node, "tag")).toBe(tag);
  expect(await client.call("VSTORE.INSERT", "docs", "later", "FP32", fp32(60, 60))).toBe(1);
});
