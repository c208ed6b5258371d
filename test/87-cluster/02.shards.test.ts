/** One collection over three nodes: what its parts find together is what one node would find. */
import { readFileSync } from "node:fs";
import type { Cluster } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ClusterNode, RedisCluster } from "../../harness/cluster.ts";
import { generator } from "../../harness/random.ts";
import { fp32 } from "../harness/fp32.ts";
import { ServedCluster } from "../harness/served-cluster.ts";
import { until } from "../harness/serving.ts";

/** Nothing here is about time: the machine may be slow. */
const patienceMs = 60_000;
/** The user that it shows for the sidecar is enough. */
const page = readFileSync(new URL("../../docs/security.md", import.meta.url), "utf8");
const dimensions = 8;
const count = 600;
const random = generator(17);
const rows = Array.from({ length: count }, (_, i) => ({
  key: `k${i}`,
  vector: fp32(...Array.from({ length: dimensions }, () => random() * 2 - 1)),
  json: JSON.stringify({ n: i, kind: i % 5 === 0 ? "rare" : `often${i % 3}` }),
}));

let cluster: ServedCluster;
let redis: RedisCluster;
let client: Cluster;

const call = (command: string, ...args: (string | number | Buffer)[]) =>
  client.call(`VSTORE.${command}`, ...args);

/** The parts, as the nodes list them. */
async function partsOn(node: ClusterNode): Promise<string[]> {
  const all = (await node.redis.call("VSTORE.LIST")) as string[];
  return all.filter((name) => name.startsWith("vstore:{"));
}

/** Asks both collections, and expects the same answer. */
async function same(command: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
  const [parted, plain] = [await call(command, "parted", ...args), await call(command, "plain", ...args)];
  expect(parted).toEqual(plain);
  return parted;
}

beforeAll(async () => {
  cluster = await ServedCluster.start(3, {
    credentials: "vstore-sidecar:change-me@",
    sidecar: { env: { VSTORE_PART_TIMEOUT_MS: String(patienceMs) } },
    async prepare({ redis: node }) {
      await node.config("SET", "vstore.timeout", 2 * patienceMs);
      for (const [, rules] of page.matchAll(/^user vstore-sidecar (.*)$/gm))
        await node.acl("SETUSER", "vstore-sidecar", ...rules!.split(" "));
    },
  });
  ({ redis, client } = cluster);
});

afterAll(() => cluster?.stop());

test("CREATE with SHARDS makes a part on each node, and the collection at home", async () => {
  expect(await call("CREATE", "plain", "DIM", dimensions, "METRIC", "L2")).toBe("OK");
  expect(await call("CREATE", "parted", "DIM", dimensions, "METRIC", "L2", "SHARDS", 3)).toBe("OK");
  for (const node of redis.nodes) expect(await partsOn(node)).toHaveLength(1);
  await expect(call("CREATE", "parted", "DIM", 4, "SHARDS", 3)).rejects.toThrow(/^COLLECTIONEXISTS /);
  expect(await call("CREATE", "parted", "DIM", 4, "SHARDS", 3, "NX")).toBe(null);
});

test("writes go to the part of their key, and all parts answer together", async () => {
  for (const { key, vector, json } of rows.slice(0, 100))
    expect(await same("INSERT", key, "FP32", vector, "SETATTR", json)).toBe(1);
  const rest = rows.slice(100);
  const [keys, blob, texts] = [
    rest.map(({ key }) => key),
    Buffer.concat(rest.map(({ vector }) => vector)),
    rest.map(({ json }) => json),
  ];
  expect(await same("MINSERT", rest.length, ...keys, "FP32", blob, "SETATTR", ...texts)).toBe(500);
  expect(await same("CARD")).toBe(count);
  expect(await same("INSERT", "k1", "FP32", rows[1]!.vector, "NX")).toBe(null);
  for (const node of redis.nodes) {
    const [part] = await partsOn(node);
    expect(Number(await node.redis.call("VSTORE.CARD", part!))).toBeGreaterThan(150);
  }
});

test("a search finds what one node would find, in the same order", async () => {
  for (let i = 0; i < 10; i++) {
    const query = ["FP32", rows[i]!.vector] as const;
    const exact = [...query, "EXACT", "WITHDISTANCES"] as const;
    expect(await same("SEARCH", ...exact, "COUNT", 50)).toHaveLength(100);
    await same("SEARCH", ...exact, "COUNT", 7, "OFFSET", 20, "WITHATTRS");
    await same("SEARCH", ...exact, "COUNT", 40, "FILTER", '.kind == "rare" and .n > 100');
    await same("SEARCH", ...exact, "COUNT", 100, "WITHIN", 1.1);
    await same("SEARCH", ...exact, "COUNT", 9, "DISTINCT", "kind", "PER", 2);
    await same("SEARCH", "KEY", `k${i}`, "EXACT");
    await same("SEARCH", "KEY", `k${i}`, "KEY", "k20", "NOT", "KEY", "k30", "EXACT", "COUNT", 25);
  }
  const found = (await call("SEARCH", "parted", "FP32", rows[0]!.vector, "COUNT", 600)) as string[];
  expect(new Set(found).size).toBe(600);
});

test("many searches at once find what each finds alone", async () => {
  const search = (i: number, ...options: (string | number)[]) =>
    same("SEARCH", "FP32", rows[i]!.vector, "EF", 200, ...options);
  const forms = [["COUNT", 5], ["WITHDISTANCES"], ["COUNT", 64, "WITHIN", 1.5, "WITHDISTANCES"]];
  const all = Array.from({ length: 90 }, (_, i) => [i, ...forms[i % 3]!] as const);
  const together = await Promise.all(all.map((each) => search(...each)));
  for (const [i, found] of together.entries())
    if (i % 9 === 0) expect(await search(...all[i]!)).toEqual(found);
});

test("with the index, it finds at least as many of the nearest as one node", async () => {
  const recall = { parted: 0, plain: 0 };
  for (const { vector } of rows.slice(100, 140)) {
    const exact = (await call("SEARCH", "plain", "FP32", vector, "EXACT")) as string[];
    for (const name of ["parted", "plain"] as const) {
      const found = (await call("SEARCH", name, "FP32", vector, "EF", 10)) as string[];
      recall[name] += found.filter((key) => exact.includes(key)).length;
    }
  }
  expect(recall.parted).toBeGreaterThanOrEqual(recall.plain);
});

test("many searches in one request are merged one by one", async () => {
  const blob = Buffer.concat(rows.slice(0, 20).map(({ vector }) => vector));
  await same("MSEARCH", 20, "FP32", blob, "EXACT", "WITHDISTANCES", "COUNT", 5, "OFFSET", 2);
  await same("MSEARCH", 20, "FP32", blob, "EXACT", "WITHATTRS", "FILTER", ".n < 300");
});

test("SCAN brings every key once, and RANDMEMBER different ones", async () => {
  const seen: string[] = [];
  let cursor = "0";
  do {
    const page = (await call("SCAN", "parted", cursor, "COUNT", 70, "WITHATTRS")) as [
      string,
      [string, string][],
    ];
    cursor = page[0];
    seen.push(...page[1].map(([key, json]) => `${key} ${JSON.parse(json).n}`));
  } while (cursor !== "0");
  expect(seen.sort()).toEqual(rows.map(({ key }, n) => `${key} ${n}`).sort());
  const drawn = (await call("RANDMEMBER", "parted", 300)) as string[];
  expect(new Set(drawn).size).toBe(300);
  expect(await call("RANDMEMBER", "parted")).toMatch(/^k\d+$/);
});

test("EXPLAIN adds up, and BUILD and CHECKPOINT reach all parts", async () => {
  const facts = ((await call("EXPLAIN", "parted", "FILTER", ".n < 300")) as unknown[]).map(String);
  expect(facts[facts.indexOf("vectors") + 1]).toBe(String(count));
  expect(facts[facts.indexOf("matches") + 1]).toBe("300");
  expect(await call("BUILD", "parted", "WAIT")).toMatch(/^OK \d+ slots added to the index$/);
  expect(await call("CHECKPOINT", "parted")).toBe("OK 3 parts");
});

test("a read with ASOF asks each part for its own token", async () => {
  const token = String(await call("TOKEN", "parted"));
  expect(await call("CARD", "parted", "ASOF", token)).toBe(count);
  expect(await call("GETATTR", "parted", "k1", "ASOF", token)).toContain('"n":1');
  expect(await call("SEARCH", "parted", "KEY", "k1", "COUNT", 1, "ASOF", token)).toEqual(["k1"]);
  expect(await call("SCAN", "parted", 0, "COUNT", 1, "ASOF", token)).toHaveLength(2);
  const swapped = token.replace(/^p1,([^,]*),([^,]*)/, "p1,$2,$1");
  await expect(call("CARD", "parted", "ASOF", swapped)).rejects.toThrow(/^ERR 'ASOF' must be a token/);
});

test("reads and changes of keys are those of one node", async () => {
  await same("GET", "k3", "RAW");
  await same("GET", "k3");
  await same("GET", "none");
  await same("MGET", "k1", "none", "k2", "ASOF");
  await same("EXISTS", "k1", "none", "k2", "FILTER", "k3");
  await same("GETATTR", "k7");
  await same("SETATTR", "k7", '{"kind":"rare","n":1000}');
  await same("CARD", "FILTER", ".n >= 1000");
  expect(await same("EXPIRE", "k8", 1000)).toBe(1);
  expect(await same("TTL", "k8")).toBeGreaterThan(900);
  expect(await same("PERSIST", "k8")).toBe(1);
  expect(await same("INSERT", "FILTER", "FP32", rows[0]!.vector)).toBe(1);
  expect(await same("DEL", "k9", "k10", "FILTER", "none", "k11")).toBe(4);
  expect(await same("DEL", "FILTER", ".n < 100 and .n > 80")).toBe(19);
  expect(await same("CARD")).toBe(count - 22);
});

test("what the parts refuse is refused, and so is what collections with parts do not have", async () => {
  await expect(call("INSERT", "parted", "x", "FP32", fp32(1))).rejects.toThrow(
    /^ERR 'vector' must be 32 bytes/,
  );
  await expect(call("INSERT", "parted", "x")).rejects.toThrow(/wrong number of arguments/);
  const query = ["SEARCH", "parted", "FP32", rows[0]!.vector] as const;
  await expect(call(...query, "FILTER", ".n >")).rejects.toThrow(/^ERR /);
  await expect(call(...query, "WITHVALUES")).rejects.toThrow(/^ERR 'WITHVALUES' is not for .* read them by/);
  await expect(call(...query, "ASOF", "t")).rejects.toThrow(
    /^ERR 'ASOF' must be a token .* collection 'parted'/,
  );
  await expect(call(...query, "COUNT", 10_000, "OFFSET", 1)).rejects.toThrow(/^LIMIT /);
});

test("what needs one node is refused, and says what to do instead", async () => {
  const { redis: home } = await redis.nodeOf("parted");
  const vector = rows[0]!.vector;
  const results = await home
    .multi()
    .call("VSTORE.INSERT", "parted", "x", "FP32", vector)
    .call("VSTORE.DEL", "parted", "k1", "NOWAIT")
    .call("VSTORE.CARD", "parted")
    .exec();
  const [insert, del, card] = results!.map(([error]) => String(error));
  for (const refused of [insert, del])
    expect(refused).toContain("SHARDS cannot be used inside MULTI or a script: it goes to another node");
  expect(card).toMatch(/VSTORE.CARD .*MULTI/);
  const script = "return redis.call('VSTORE.INSERT', KEYS[1], 'x', 'FP32', ARGV[1])";
  await expect(home.eval(script, 1, "parted", vector)).rejects.toThrow(/send it before or after, on its own/);
  const create = (...words: string[]) => call("CREATE", "other", "DIM", 2, ...words);
  await expect(create("SHARDS", "3", "FOLLOW", "PREFIX", "doc:")).rejects.toThrow(
    /^ERR 'SHARDS' cannot be used with 'FOLLOW': .* one collection with FOLLOW for each hash tag/,
  );
  await expect(call("CACHE.CREATE", "other", "DIM", 2, "MAXBYTES", 2 ** 20, "SHARDS", 3)).rejects.toThrow(
    /^ERR 'SHARDS' cannot be used for a cache: .* one cache for each hash tag/,
  );
  const isNone = /^ERR .*(not for collections with SHARDS|is no cache)/;
  await expect(call("CACHE.GET", "parted", "FP32", vector)).rejects.toThrow(isNone);
  await expect(call("CACHE.SET", "parted", "FP32", vector, "VALUE", "v")).rejects.toThrow(isNone);
  await expect(call("CACHE.DEL", "parted", "ID", "a", "NOWAIT")).rejects.toThrow(isNone);
  expect(await home.keys("{parted}:*")).toEqual([]);
});

test("a transaction may make and drop a collection with parts: that happens after it", async () => {
  const { redis: home } = await redis.nodeOf("later");
  const queued = [[null, expect.stringMatching(/^QUEUED /)]];
  expect(await home.multi().call("VSTORE.CREATE", "later", "DIM", 2, "SHARDS", 2).exec()).toEqual(queued);
  await until(
    () => call("INSERT", "later", "a", "FP32", fp32(1, 2)).catch(String),
    (answer) => answer === 1 || answer === 0,
  );
  expect(await home.multi().call("VSTORE.DROP", "later").exec()).toEqual(queued);
  await until(
    () => call("CARD", "later").catch(String),
    (answer) => String(answer).includes("NOCOLLECTION"),
  );
});

test("with NOWAIT a write is answered once it is in the logs of its parts, and WAIT is for all of them", async () => {
  const [x, bad] = [fp32(9, 9, 9, 9, 9, 9, 9, 9), fp32(1)];
  const before = (await call("WAIT", "parted")) as [string, number, string | null];
  expect(before).toEqual([expect.stringMatching(/^n1(,\d+-\d+){3}$/), 0, null]);
  const first = String(await call("INSERT", "parted", "n0", "FP32", x, "NOWAIT"));
  expect(
    first
      .replaceAll(/\d+-\d+/g, "id")
      .split(",")
      .sort(),
  ).toEqual(["id", "id+", "id+", "n1"]);
  const keys = ["n1", "n2", "n3", "n4", "n5", "n6"];
  const all = Buffer.concat(keys.map(() => x));
  const together = String(await call("MINSERT", "parted", keys.length, ...keys, "FP32", all, "NOWAIT"));
  expect(await call("SEARCH", "parted", "FP32", x, "COUNT", 7)).toEqual(
    expect.arrayContaining(["n0", ...keys]),
  );
  const refused = [];
  for (const key of keys) refused.push(String(await call("INSERT", "parted", key, "FP32", bad, "NOWAIT")));
  await call("SETATTR", "parted", "n1", '{"n":5000}', "NOWAIT");
  await call("EXPIRE", "parted", "n2", 1000, "NOWAIT");
  await call("DEL", "parted", "n3", "n4", "NOWAIT");
  const reason = /^ERR 'vector' must be 32 bytes/;
  expect(await call("WAIT", "parted")).toMatchObject({ 1: 6, 2: expect.stringMatching(reason) });
  expect(await call("WAIT", "parted", together, "SINCE", first)).toMatchObject({ 1: 0, 2: null });
  expect(await call("WAIT", "parted", "SINCE", refused[3]!)).toMatchObject({ 1: 3 });
  expect(await call("WAIT", "parted", refused[2]!, "SINCE", refused[2]!)).toMatchObject({ 1: 1 });
  expect(await call("CARD", "parted", "FILTER", ".n == 5000")).toBe(1);
  expect(await call("TTL", "parted", "n2")).toBeGreaterThan(900);
  expect(await call("EXISTS", "parted", "n0", ...keys)).toBe(5);
  await expect(call("WAIT", "parted", "5-0")).rejects.toThrow(
    /^ERR an id must be one that a write with NOWAIT/,
  );
  await expect(call("DEL", "parted", "FILTER", ".n == 5000", "NOWAIT")).rejects.toThrow(
    /^ERR 'FILTER' cannot be/,
  );
  expect(await call("DEL", "parted", "n0", ...keys)).toBe(5);
});

test("INFO tells of the whole and of each part", async () => {
  const facts = ((await call("INFO", "parted")) as unknown[]).map(String);
  const of = (name: string) => facts[facts.indexOf(name) + 1];
  expect(of("shards")).toBe("3");
  expect(of("vectors")).toBe(String(await call("CARD", "parted")));
  for (const i of [0, 1, 2])
    expect(of(`shard_${i}`)).toMatch(/^vstore:\{\d+\}:[0-9a-f]{12}:parted on 127\.0\.0\.1:\d+, \d+ vectors$/);
});

test("a user of the collection reaches its parts through it alone", async () => {
  const home = await redis.nodeOf("parted");
  const part = (await partsOn(home))[0]!;
  for (const { redis: each } of redis.nodes)
    await each.acl(
      "SETUSER",
      "app",
      "on",
      "nopass",
      "resetchannels",
      "~parted",
      "-@all",
      "+vstore.get",
      "+auth",
    );
  const app = home.redis.duplicate();
  await app.auth("app", "any");
  expect(await app.call("VSTORE.GET", "parted", "k1")).toHaveLength(dimensions);
  await expect(app.call("VSTORE.GET", part, "k1")).rejects.toThrow(/^NOPERM /);
  await expect(app.call("VSTORE.CARD", "parted")).rejects.toThrow(/^NOPERM /);
  app.disconnect();
});

test("a write that a stream client puts into the log at home is refused", async () => {
  const home = await redis.nodeOf("parted");
  const fields = ["cmd", "INSERT", "0", "parted", "1", "forged", "2", "FP32", "3", rows[0]!.vector] as const;
  await home.redis.xadd("vstore:{parted}:log", "*", ...fields);
  await until(
    () => home.redis.xrange("vstore:{parted}:errors", "-", "+"),
    (entries) => String(entries).includes("was not passed on to its parts"),
  );
  expect(await call("GET", "parted", "forged")).toBe(null);
});

test("the home's sidecar comes back with the collection, and the mark that was lost", async () => {
  const home = await redis.nodeOf("parted");
  await home.redis.del("vstore:{parted}:shards");
  await until(
    () => home.redis.exists("vstore:{parted}:shards"),
    (there) => there === 1,
  );
  const before = await call("CARD", "parted");
  await cluster.sidecars.get(home)!.stop();
  await cluster.serve(home).waitReady();
  expect(await call("CARD", "parted")).toBe(before);
  expect(await same("INSERT", "after", "FP32", rows[0]!.vector)).toBe(1);
});

test("a follower that takes the home over has the collection, and the part that is there", async () => {
  const [home] = await cluster.homeAndOther("parted");
  const leader = cluster.sidecars.get(home)!;
  const follower = cluster.follow(home);
  await follower.waitLog("in step");
  expect(await same("INSERT", "followed", "FP32", rows[3]!.vector)).toBe(1);
  await leader.stop();
  await follower.waitReady();
  const query = ["FP32", rows[3]!.vector, "COUNT", 20, "WITHDISTANCES"] as const;
  const found = await until(
    () => call("SEARCH", "parted", ...query).catch(String),
    (answer) => Array.isArray(answer),
  );
  expect(found).toContain("followed");
  expect(await same("SEARCH", ...query)).toEqual(found);
  expect(await same("SEARCH", ...query, "FILTER", ".n > 300", "WITHATTRS")).toHaveLength(40);
  expect(await same("INSERT", "led", "FP32", rows[4]!.vector)).toBe(1);
  expect(await same("MGET", "followed", "led", "k1")).toHaveLength(3);
});

/** What PARTIAL answers: results, and the parts that are missing. */
type Partly = [string, unknown[], string, string[]];

test("a part that does not answer is named", async () => {
  const [, other] = await cluster.homeAndOther("parted");
  const [part] = await partsOn(other);
  await cluster.sidecars.get(other)!.stop();
  const query = ["FP32", rows[2]!.vector] as const;
  const error = await until(
    () => call("SEARCH", "parted", ...query).then(String, String),
    (answer) => answer.includes("PARTDOWN"),
  );
  expect(error).toContain(`part '${part}' on 127.0.0.1:${other.server.port}: `);
  const partial = [...query, "EXACT", "COUNT", count, "WITHDISTANCES", "PARTIAL"] as const;
  const [, pairs, , missing] = (await call("SEARCH", "parted", ...partial)) as Partly;
  expect(missing).toEqual([part]);
  expect(pairs.length).toBeGreaterThan(300);
  expect(pairs.length).toBeLessThan(450);
  const two = Buffer.concat([rows[2]!.vector, rows[3]!.vector]);
  const several = ["MSEARCH", "parted", 2, "FP32", two, ...partial.slice(2)] as const;
  const [, results, , without] = (await call(...several)) as Partly;
  expect(without).toEqual([part]);
  expect(results[0]).toEqual(pairs);
  expect(results[1]).toHaveLength(pairs.length);
  const writes = rows.slice(100, 130).map(({ key, vector }) => call("INSERT", "parted", key, "FP32", vector));
  const outcomes = await Promise.allSettled(writes);
  expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBeGreaterThan(5);
  const refused = outcomes.filter((each) => each.status === "rejected").map(({ reason }) => String(reason));
  expect(refused.filter((each) => !each.includes("PARTDOWN"))).toEqual([]);
  await cluster.serve(other).waitReady();
  expect(await same("SEARCH", ...partial.slice(0, 2), "EXACT", "PARTIAL", "COUNT", 3)).toMatchObject({
    length: 4,
  });
  expect(await call("SEARCH", "parted", ...query, "COUNT", 1)).toEqual(["k2"]);
});

test("DROP takes all parts", async () => {
  expect(await call("DROP", "parted")).toBe("OK");
  await expect(call("CARD", "parted")).rejects.toThrow(/^NOCOLLECTION /);
  for (const node of redis.nodes) expect(await partsOn(node)).toEqual([]);
  const home = await redis.nodeOf("parted");
  expect(await home.redis.keys("vstore:*parted*")).toEqual([]);
  expect(await call("CREATE", "parted", "DIM", 2)).toBe("OK");
  expect(await call("INSERT", "parted", "a", "FP32", fp32(1, 2))).toBe(1);
});
