/** How the module of a replica keeps reads for the sidecar that fetches them. The test plays that sidecar. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { RespClient } from "../harness/resp.ts";
import { connectClient, until } from "../harness/serving.ts";

const sources = fileURLToPath(new URL("../../redis", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "vstore-queue-"));
const down = /^-VSTOREDOWN/;

let primary: RedisServer;
let replica: RedisServer;
let answerer: Redis;
let fetcher: Redis;
let client: RespClient;

/** 256 MiB are too many for a test: the module is compiled with room for 100 bytes, and one read more. */
beforeAll(async () => {
  const module = join(directory, "vstore.so");
  const all = readdirSync(sources, { recursive: true, encoding: "utf8" });
  const files = all.filter((name) => name.endsWith(".c") && name !== "answers/resp3_fuzz.c");
  const flags = ["-std=c11", "-D_GNU_SOURCE", "-I.", "-fPIC", "-shared", "-DQUEUE_BYTES_MAX=100LL"];
  execFileSync("cc", [...flags, ...files, "-o", module], { cwd: sources });
  const options = { module: false, args: ["--loadmodule", module] };
  [primary, replica] = await Promise.all([startRedis(options), startRedis(options)]);
  const redis = connectClient(replica.url);
  await redis.replicaof("127.0.0.1", primary.port);
  await until(
    () => redis.info("replication"),
    (info) => info.includes("master_link_status:up"),
  );
  redis.disconnect();
});
afterAll(async () => {
  for (const server of [primary, replica]) await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  [answerer, fetcher] = [connectClient(replica.url), connectClient(replica.url)];
  client = await RespClient.connect(replica.port);
  await answerer.call("VSTORE.ATTACH", "READER", "one", 3_600_000);
});
afterEach(async () => {
  await answerer.call("VSTORE.ATTACH", "READER", "one", 0).catch(() => {});
  for (const redis of [answerer, fetcher]) redis.disconnect();
  client.close();
});

type Fetched = [[stream: string, entries: [id: string, fields: string[]][]]] | null;
const fetch = (bytes = 100, ms = 10_000, count = 10) =>
  fetcher.call("VSTORE.FETCH", "one", count, bytes, ms) as Promise<Fetched>;
const info = async (field: string) =>
  new RegExp(`vstore_${field}:(.*)\\r`).exec(await answerer.info("vstore"))![1];

test("a read waits in no key, comes to a fetch that waits, and is answered", async () => {
  const fetching = fetch();
  client.write("VSTORE.GET", "docs", "a");
  const [[stream, entries]] = (await fetching)!;
  const [id, fields] = entries[0]!;
  expect(stream).toBe("vstore:queries");
  expect(fields.filter((_, at) => at !== 3)).toEqual(["cmd", "GET", "client", "0", "docs", "1", "a"]);
  expect(await answerer.keys("*")).toEqual([]);
  expect(await fetch(100, 0)).toBeNull();
  expect(await answerer.call("VSTORE.FETCH", "one", "WANTED", id)).toBe(1);
  expect(await answerer.call("VSTORE.REPLY", stream, id, "$1\r\nx\r\n")).toBe(1);
  expect(await client.read()).toBe("$1\r\nx\r\n");
  expect(await answerer.call("VSTORE.FETCH", "one", "WANTED", id)).toBe(0);
  client.write("VSTORE.LIST");
  const list = (await fetch())![0][1][0]![0];
  await answerer.call("VSTORE.REPLY", stream, list, "*0\r\n");
  expect(await client.read()).toBe("*0\r\n");
});

test("a fetch brings as many as it asks for, and what is over the limit of bytes answers BUSY", async () => {
  const clients = await Promise.all([1, 2, 3].map(() => RespClient.connect(replica.port)));
  const [first, second, third] = clients as [RespClient, RespClient, RespClient];
  first.write("VSTORE.GET", "docs", "a".repeat(20));
  await until(
    () => info("queued_reads"),
    (count) => count === "1",
  );
  second.write("VSTORE.GET", "docs", "b".repeat(80));
  await until(
    () => info("queued_reads"),
    (count) => count === "2",
  );
  expect(Number(await info("queued_read_bytes"))).toBeGreaterThan(100);
  expect(await third.send("VSTORE.GET", "docs", "c")).toMatch(/^-BUSY/);
  expect((await fetch(1))![0][1]).toHaveLength(1);
  expect((await fetch(100, 0, 1))![0][1]).toHaveLength(1);
  third.write("VSTORE.GET", "docs", "c");
  expect((await fetch())![0][1]).toHaveLength(1);
  third.close();
  first.close();
  second.close();
  await until(
    () => info("pending"),
    (count) => count === "0",
  );
  expect(await info("queued_reads")).toBe("0");
});

test("those that wait hear at once that the sidecar is gone, whether their read was fetched or not", async () => {
  const others = await Promise.all([1, 2].map(() => RespClient.connect(replica.port)));
  others[0]!.write("VSTORE.CARD", "docs");
  await fetch();
  others[1]!.write("VSTORE.CARD", "docs");
  await until(
    () => info("pending"),
    (count) => count === "2",
  );
  answerer.disconnect();
  for (const each of others) expect(await each.read()).toMatch(down);
  expect(await client.send("VSTORE.CARD", "docs")).toMatch(down);
  for (const each of others) each.close();
  answerer = connectClient(replica.url);
});

test("only the sidecar that is attached may fetch and answer, and only on a replica", async () => {
  const attach = (redis: Redis, id: string) => redis.call("VSTORE.ATTACH", "READER", id, 1_000);
  await expect(attach(fetcher, "two")).rejects.toThrow("TRYAGAIN another sidecar");
  await expect(fetcher.call("VSTORE.FETCH", "two", 1, 1, 0)).rejects.toThrow("NOPERM");
  await expect(fetcher.call("VSTORE.REPLY", "vstore:queries", "1-1", "+OK\r\n")).rejects.toThrow("NOPERM");
  await expect(fetcher.call("VSTORE.FETCH", "one", 0, 1, 0)).rejects.toThrow("'count' must be 1 to 1024");
  await expect(fetcher.call("VSTORE.FETCH", "one", 1, 1, 10_001)).rejects.toThrow(
    "'wait' must be 0 to 10000",
  );
  const there = connectClient(primary.url);
  await expect(attach(there, "one")).rejects.toThrow("ERR a reader attaches to a replica");
  there.disconnect();
  await answerer.config("SET", "replica-read-only", "no");
  expect(await client.send("VSTORE.DEL", "docs", "a")).toMatch(/^-READONLY/);
  await answerer.config("SET", "replica-read-only", "yes");
  expect(await client.send("VSTORE.DEL", "docs", "a")).toMatch(/^-READONLY/);
});

test("a promotion ends all waits", async () => {
  client.write("VSTORE.CARD", "docs");
  await until(
    () => info("pending"),
    (count) => count === "1",
  );
  await fetcher.replicaof("NO", "ONE");
  expect(await client.read()).toMatch(down);
  expect(await client.send("VSTORE.CARD", "docs")).toMatch(down);
  await fetcher.replicaof("127.0.0.1", primary.port);
});
