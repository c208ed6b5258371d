/** Reads on a Redis replica, answered by the follower beside it, from then on until the replica is a primary. */
import type { Redis } from "ioredis";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, served, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const readOnly = "READONLY You can't write against a read only replica.";
/** The reads of the primary's own clients: this key is not replicated. */
const local = "vstore:queries";

const stage = eachTestOnStage();
let second: RedisServer;
let primary: Redis;
let replica: Redis;

beforeEach(async () => {
  second = await startRedis();
  primary = connectClient(stage.server.url);
  replica = connectClient(second.url);
  for (const redis of [primary, replica]) await redis.config("SET", "vstore.timeout", 120_000);
  await replica.replicaof("127.0.0.1", stage.server.port);
});
afterEach(async () => {
  for (const client of [primary, replica]) client.disconnect();
  await second.stop();
});

const call = (redis: Redis, command: string, ...args: (string | number | Buffer)[]) =>
  redis.call(`VSTORE.${command}`, ...args) as Promise<unknown>;
/** On the replica, however long the follower takes. */
const asOf = (token: string, command: string, ...args: (string | number | Buffer)[]) =>
  until(
    () => call(replica, command, ...args, "ASOF", token).catch(String),
    (answer) => !/^ReplyError: (BEHIND|VSTOREDOWN|TRYAGAIN|TIMEOUT)/.test(String(answer)),
  );
/** On the replica. A machine that is busy elsewhere may keep the follower from its sign of life. */
const read = (command: string, ...args: (string | number | Buffer)[]) =>
  served(replica, `VSTORE.${command}`, ...args);
const insert = (key: string, x: number, ...options: string[]) =>
  call(primary, "INSERT", "c", key, "FP32", fp32(x, 1), ...options);

/** A leader at the primary and a follower beside the replica, which answers. */
async function serve(role = "follower"): Promise<{ leader: SidecarProcess; follower: SidecarProcess }> {
  const leader = stage.join();
  await leader.waitReady();
  await call(primary, "CREATE", "c", "DIM", 2, "METRIC", "L2");
  for (let i = 0; i < 20; i++) await insert(`k${i}`, i, "SETATTR", `{"n":${i}}`);
  const follower = stage.join({ redisUrl: second.url, env: { VSTORE_ROLE: role } });
  await follower.waitReady();
  return { leader, follower };
}

const isDown = { message: expect.stringMatching(/^VSTOREDOWN/) };
const offsetOf = async (redis: Redis) =>
  /^(?:master|slave)_repl_offset:(\d+)/m.exec(await redis.info("replication"))![1];

/** Every key of a server with its digest, but that of the primary's own reads. */
async function dataOf(redis: Redis): Promise<Record<string, unknown>> {
  const keys = (await redis.keys("*")).filter((key) => key !== local).sort();
  const digests = (await redis.call("DEBUG", "DIGEST-VALUE", ...keys)) as string[];
  return Object.fromEntries(keys.map((key, i) => [key, digests[i]]));
}

test("all reads are answered there, and writes as Redis' replicas answer them", async () => {
  await serve();
  const token = (await call(primary, "TOKEN", "c")) as string;
  const near = (...more: string[]) => asOf(token, "SEARCH", "c", "FP32", fp32(7.2, 1), "COUNT", 2, ...more);
  expect(await near()).toEqual(["k7", "k8"]);
  expect(await near("FILTER", ".n > 7", "WITHATTRS")).toEqual(["k8", '{"n":8}', "k9", '{"n":9}']);
  expect(await read("GET", "c", "k3")).toEqual(["3", "1"]);
  expect(await read("CARD", "c")).toBe(20);
  expect(await read("LIST")).toEqual(["c"]);
  expect(await read("TOKEN", "c")).toBe(token);
  expect(await read("INFO", "c")).toContain("metric");
  await expect(call(replica, "GET", "nothing", "k")).rejects.toThrow("NOCOLLECTION");
  await expect(call(replica, "DEL", "c", "k3")).rejects.toThrow(readOnly);
  await expect(call(replica, "DROP", "c")).rejects.toThrow(readOnly);
  const inMulti = await replica.multi().call("VSTORE.GET", "c", "k3").exec();
  expect(String(inMulti![0]![0])).toContain("cannot be used inside MULTI");
});

test("a read with a token sees what the primary has acknowledged, and values are read under the caller's rights", async () => {
  await serve();
  for (let i = 0; i < 5; i++) {
    await insert(`new${i}`, 100 + i);
    const token = (await call(primary, "TOKEN", "c")) as string;
    expect(await asOf(token, "GET", "c", `new${i}`)).toEqual([String(100 + i), "1"]);
  }
  await call(primary, "CREATE", "later", "DIM", 2);
  await until(
    () => replica.hexists("vstore:collections", "later"),
    (exists) => exists === 1,
  );
  expect(await read("CARD", "later")).toBe(0);
  await primary.set("k1", "the value");
  await primary.acl("SETUSER", "reader", "on", ">secret", "~c", "+vstore.search", "+get");
  await replica.acl("SETUSER", "reader", "on", ">secret", "~c", "+vstore.search", "+get");
  await until(
    () => replica.get("k1"),
    (value) => value === "the value",
  );
  const nearest = ["SEARCH", "c", "FP32", fp32(1, 1), "COUNT", 1, "WITHVALUES"] as const;
  expect(await read(...nearest)).toEqual(["k1", "the value"]);
  const limited = connectClient(second.url.replace("redis://", "redis://reader:secret@"));
  onTestFinished(() => limited.disconnect());
  expect(JSON.stringify(await call(limited, ...nearest).catch(String))).not.toContain("the value");
});

test("clients hear at once that the follower is gone", async () => {
  const { follower } = await serve();
  const clients = Array.from({ length: 5 }, () => connectClient(second.url));
  onTestFinished(() => {
    for (const client of clients) client.disconnect();
  });
  for (const client of clients) await client.ping();
  process.kill(follower.pid, "SIGSTOP");
  let hasEnded = false;
  const ended = Promise.allSettled(clients.map((client) => call(client, "CARD", "c"))).finally(() => {
    hasEnded = true;
  });
  await until(
    () => replica.info("vstore"),
    (info) => /vstore_pending:5/.test(info) || hasEnded,
  );
  await follower.kill();
  for (const each of await ended) expect(each).toMatchObject({ status: "rejected", reason: isDown });
  await expect(call(replica, "CARD", "c")).rejects.toMatchObject(isDown);
  const next = stage.join({
    redisUrl: second.url,
    dataDir: follower.dataDir,
    env: { VSTORE_ROLE: "follower" },
  });
  await next.waitReady();
  expect(await read("CARD", "c")).toBe(20);
});

test("a thousand searches change nothing there, nor do they need the primary; promoted, it goes on", async () => {
  const { leader, follower } = await serve("auto");
  const token = (await call(primary, "TOKEN", "c")) as string;
  expect(await asOf(token, "CARD", "c")).toBe(20);
  // They write of themselves: positions, and signs of life.
  for (const { pid } of [leader, follower]) process.kill(pid, "SIGSTOP");
  await until(
    async () => [await offsetOf(primary), await offsetOf(replica)],
    ([there, here]) => there === here,
  );
  const data = await dataOf(replica);
  expect(data).toEqual(await dataOf(primary));
  await leader.kill();
  await stage.server.kill();
  process.kill(follower.pid, "SIGCONT");
  expect(await read("CARD", "c")).toBe(20);
  const before = [await offsetOf(replica), await replica.dbsize()];
  for (let i = 0; i < 1_000; i++)
    expect(await read("SEARCH", "c", "FP32", fp32(i % 20, 1), "COUNT", 1)).toEqual([`k${i % 20}`]);
  expect([await offsetOf(replica), await replica.dbsize()]).toEqual(before);
  expect(await dataOf(replica)).toEqual(data);
  await replica.replicaof("NO", "ONE");
  expect(await read("INSERT", "c", "after", "FP32", fp32(500, 1))).toBe(1);
  expect(await read("CARD", "c")).toBe(21);
  expect(follower.isRunning).toBe(true);
});
