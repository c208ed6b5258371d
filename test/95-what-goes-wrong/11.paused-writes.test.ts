/**
 * Writes are paused (CLIENT PAUSE, a planned failover): the data stands still, and Redis ends its own process where a
 * module propagates something all the same. The test plays the sidecar.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { modulePath, type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { entriesOf } from "../harness/following.ts";
import { fp32 } from "../harness/fp32.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { connectClient, until } from "../harness/serving.ts";

const pauseMs = 1_000;

let server: RedisServer;
let sidecar: PlayedSidecar;
let client: Redis;
const ends: (() => unknown)[] = [];

/** "p" follows p:, "h" the field v of h:; both are in step, and there is a key of each. */
beforeEach(async () => {
  server = await startRedis({ appendonly: "everysec" });
  sidecar = await PlayedSidecar.attach(server.port);
  client = connectClient(server.url);
  ends.push(() => sidecar.close());
  ends.push(() => client.disconnect());
  for (const each of ["p", "h"]) await sidecar.createLog(each);
  await client.hset("vstore:follows", "p", "2:p:,", "h", "2:h:,1:v,");
  await client.hset("vstore:synced", "p", "synced", "h", "synced");
  await client.set("p:1", "there");
  await client.hset("h:1", "v", fp32(1, 1));
});

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await server.stop();
});

const pause = (redis = client) => redis.call("CLIENT", "PAUSE", pauseMs, "WRITE");
const pid = async () => /process_id:(\d+)/.exec(await client.info("server"))![1];

/** The same process goes on, and it is not paused any more. */
async function expectAlive(before: string | undefined): Promise<void> {
  await client.set("beside", "written");
  expect(await pid()).toBe(before);
  expect(server.log()).not.toContain("ASSERTION FAILED");
}

test("VSTORE.RESYNC waits like any write, and appends what it is asked for then", async () => {
  const before = await pid();
  await pause();
  const asked = performance.now();
  expect(await sidecar.redis.call("VSTORE.RESYNC", "p", "GONE", "p:gone")).toBe(1);
  expect(performance.now() - asked).toBeGreaterThan(pauseMs / 2);
  expect(await entriesOf(client, "p", "p:gone")).toEqual(["DEL"]);
  await expectAlive(before);
});

test("a module that is loaded over followed keys writes its loss when it is asked to", async () => {
  sidecar.close();
  await client.module("UNLOAD", "vstore");
  const before = await pid();
  await pause();
  await client.module("LOAD", modulePath);
  await sleep(50); // a timer of no time fires within
  expect(await client.hkeys("vstore:synced")).toHaveLength(2);
  expect(await client.call("VSTORE.RESYNC")).toBe(2);
  expect(await client.hkeys("vstore:synced")).toEqual([]);
  expect(await client.call("VSTORE.RESYNC")).toBe(0);
  await expectAlive(before);
});

test("so does one whose Redis has loaded a snapshot", async () => {
  const before = await pid();
  await pause();
  await client.call("DEBUG", "RELOAD");
  await sleep(50);
  expect(await client.hkeys("vstore:synced")).toHaveLength(2);
  expect(await client.call("VSTORE.RESYNC")).toBe(2);
  expect(await client.hkeys("vstore:synced")).toEqual([]);
  await expectAlive(before);
});

test("keys that expire meanwhile are told of when they go", async () => {
  const before = await pid();
  await client.pexpire("p:1", 20);
  await client.pexpire("h:1", 20);
  await pause();
  await sleep(50);
  expect(await client.get("p:1")).toBeNull();
  expect(await entriesOf(client, "p", "p:1")).toEqual([]);
  await expectAlive(before);
  expect(await client.exists("p:1", "h:1")).toBe(0);
  expect(await entriesOf(client, "p", "p:1")).toEqual(["DEL"]);
  expect(await entriesOf(client, "h", "h:1")).toEqual(["FOLLOWED", "DEL"]);
});

test("the transaction that pauses writes has its own in the log and in the AOF", async () => {
  const before = await pid();
  const transaction = client.multi().call("CLIENT", "PAUSE", String(pauseMs), "WRITE");
  transaction.del("p:1").hset("h:1", "v", fp32(2, 2));
  await transaction.call("VSTORE.INSERT", "p", "p:2", "FP32", fp32(3, 3)).exec();
  await expectAlive(before);
  const logs = async () =>
    Promise.all(["p", "h"].map((each) => client.xrange(`vstore:{${each}}:log`, "-", "+")));
  const entries = await logs();
  expect(entries.map((each) => each.map(([, fields]) => fields[1]))).toEqual([
    ["DEL", "INSERT"],
    ["FOLLOWED", "FOLLOWED"],
  ]);
  expect(await client.hkeys("vstore:synced")).toHaveLength(2);
  await client.call("DEBUG", "LOADAOF");
  expect(await logs()).toEqual(entries);
});

describe("a read", () => {
  const search = (redis: Redis) => redis.call("VSTORE.CARD", "p");
  const stream = "vstore:queries";

  test("is answered, times out, and is given up", async () => {
    const before = await pid();
    await client.config("SET", "vstore.timeout", 100);
    await pause();
    const answered = search(client);
    await sidecar.takeAndAnswer(stream, ":7\r\n");
    expect(await answered).toBe(7);
    await expect(search(client)).rejects.toThrow("TIMEOUT");
    const leaving = connectClient(server.url);
    void search(leaving).catch(() => {});
    await sidecar.untilPending(1);
    leaving.disconnect();
    await sidecar.untilPending(0);
    expect(await client.xlen(stream)).toBe(0);
    await expectAlive(before);
  });

  test("is refused where its stream has been given an expiry and has reached it", async () => {
    const before = await pid();
    const first = search(client);
    await sidecar.takeAndAnswer(stream, ":7\r\n");
    await first;
    await client.pexpire(stream, 20);
    await pause();
    await sleep(50);
    await expect(search(client)).rejects.toThrow("TRYAGAIN");
    await expectAlive(before);
    const last = search(client);
    await sidecar.takeAndAnswer(stream, ":8\r\n");
    expect(await last).toBe(8);
  });
});

test("a planned failover while keys are looked at: the replica takes over, and has all losses written down", async () => {
  const replica = await startRedis({ appendonly: "everysec" });
  const second = connectClient(replica.url);
  ends.push(() => second.disconnect());
  ends.push(() => replica.stop());
  await second.replicaof("127.0.0.1", server.port);
  await until(
    () => second.info("replication"),
    (info) => info.includes("master_link_status:up"),
  );
  const before = await pid();
  let isOver = false;
  const looking = (async () => {
    while (!isOver) await sidecar.redis.call("VSTORE.RESYNC", "p", "GONE", "p:gone").catch(() => {});
  })();
  await client.call("FAILOVER");
  await until(
    () => second.role(),
    ([role]) => role === "master",
  );
  await until(
    () => client.role(),
    ([role]) => role !== "master",
  );
  isOver = true;
  await looking;
  await expect(sidecar.redis.call("VSTORE.RESYNC", "p", "GONE", "p:gone")).rejects.toThrow("READONLY");
  expect(await pid()).toBe(before);
  await second.del("p:1");
  expect(await entriesOf(second, "p", "p:1")).toEqual(["DEL"]);
  expect(await second.call("VSTORE.RESYNC")).toBe(0);
});
