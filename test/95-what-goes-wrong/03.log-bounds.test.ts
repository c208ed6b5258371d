/** vstore.log-max-bytes: a sidecar that stalls or falls behind does not fill Redis. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { type RedisOptions, type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { startVstore } from "../../harness/sidecar.ts";
import { fp32Of } from "../harness/fp32.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { RespClient } from "../harness/resp.ts";
import { connectClient, served, until } from "../harness/serving.ts";

const MIB = 1024 * 1024;
const log = "vstore:{docs}:log";
const chunk = "x".repeat(100_000);

async function startPlayed(
  options: RedisOptions = {},
): Promise<{ server: RedisServer; sidecar: PlayedSidecar }> {
  const server = await startRedis(options);
  const sidecar = await PlayedSidecar.attach(server.port);
  onTestFinished(async () => {
    sidecar.close();
    await server.stop();
  });
  await sidecar.createLog("docs");
  await sidecar.redis.config("SET", "vstore.log-max-bytes", "1mb");
  return { server, sidecar };
}

/** A write without a waiting client: `QUEUED <id>` or the error. */
async function write(redis: Redis, argument = chunk): Promise<string> {
  const results = await redis.multi().call("VSTORE.DEL", "docs", argument).exec();
  const [error, reply] = results![0]!;
  return String(error?.message ?? reply);
}

/** Writes until one is refused; returns how many were accepted. */
async function fill(redis: Redis): Promise<number> {
  for (let count = 0; count < 1_000; count++) if ((await write(redis)).startsWith("BUSY")) return count;
  throw new Error("nothing was refused");
}

const memoryOf = async (redis: Redis, key = log) =>
  Number(await redis.call("MEMORY", "USAGE", key, "SAMPLES", 0));

test("a log at its limit refuses writes with BUSY, and reads go on", async () => {
  const { server, sidecar } = await startPlayed();
  const accepted = await fill(sidecar.redis);
  expect(accepted).toBeGreaterThanOrEqual(8);
  expect(await memoryOf(sidecar.redis)).toBeGreaterThanOrEqual(MIB);
  expect(await memoryOf(sidecar.redis)).toBeLessThan(1.3 * MIB);
  expect(await sidecar.redis.xlen(log)).toBe(accepted);
  expect(Number(await sidecar.info("refused_busy"))).toBe(1);
  const client = await RespClient.connect(server.port);
  expect(await client.send("VSTORE.DEL", "docs", "a")).toBe(
    "-BUSY the vstore sidecar is behind: the stream of these requests has reached vstore.log-max-bytes\r\n",
  );
  client.write("VSTORE.CARD", "docs");
  await sidecar.takeAndAnswer("vstore:queries", ":7\r\n");
  expect(await client.read()).toBe(":7\r\n");
  client.close();
});

test("a script gets BUSY too", async () => {
  const { sidecar } = await startPlayed();
  await fill(sidecar.redis);
  const script = "return redis.pcall('VSTORE.DEL', KEYS[1], 'a')";
  await expect(sidecar.redis.eval(script, 1, "docs")).rejects.toThrow("BUSY");
});

test("one log at its limit leaves the others alone", async () => {
  const { sidecar } = await startPlayed();
  await fill(sidecar.redis);
  await sidecar.createLog("others");
  const results = await sidecar.redis.multi().call("VSTORE.DEL", "others", "a").exec();
  expect(results![0]![1]).toMatch(/^QUEUED/);
});

test("once the log is trimmed, writes go on at once", async () => {
  const { sidecar } = await startPlayed();
  await fill(sidecar.redis);
  await sidecar.redis.xtrim(log, "MAXLEN", 2);
  expect(await write(sidecar.redis)).toMatch(/^QUEUED/);
  expect(await fill(sidecar.redis)).toBeGreaterThan(4);
});

test("what others append counts, and what they delete", async () => {
  const { sidecar } = await startPlayed();
  expect(await write(sidecar.redis)).toMatch(/^QUEUED/);
  const id = await sidecar.redis.xadd(log, "*", "cmd", "DEL", "0", "x".repeat(2 * MIB));
  expect(await fill(sidecar.redis)).toBeLessThanOrEqual(11);
  expect(await sidecar.redis.xlen(log)).toBeLessThanOrEqual(13);
  await sidecar.redis.xdel(log, id!);
  await sidecar.redis.xtrim(log, "MAXLEN", 3);
  expect(
    await until(
      () => write(sidecar.redis),
      (reply) => reply.startsWith("QUEUED"),
      2_000,
    ),
  ).toBeTruthy();
});

test("a request that is larger than the limit passes while the log is below it", async () => {
  const { sidecar } = await startPlayed();
  expect(await write(sidecar.redis, "x".repeat(2 * MIB))).toMatch(/^QUEUED/);
  expect(await write(sidecar.redis, "a")).toMatch(/^BUSY/);
});

test("many small writes among which large ones hide are counted in full", async () => {
  const { sidecar } = await startPlayed();
  const multi = sidecar.redis.multi();
  for (let i = 0; i < 3_000; i++) multi.call("VSTORE.DEL", "docs", `k${i}`);
  await multi.exec();
  await fill(sidecar.redis);
  expect(await memoryOf(sidecar.redis)).toBeLessThan(1.3 * MIB);
});

test("after a restart of Redis the log is as full as before", async () => {
  const { server, sidecar } = await startPlayed({ appendonly: "always" });
  await fill(sidecar.redis);
  await server.restart();
  const again = await PlayedSidecar.attach(server.port);
  onTestFinished(() => again.close());
  await again.redis.config("SET", "vstore.log-max-bytes", "1mb");
  expect(await write(again.redis)).toMatch(/^BUSY/);
});

test("the control stream is bounded as well", async () => {
  const { sidecar } = await startPlayed();
  const create = (i: number) => sidecar.redis.multi().call("VSTORE.CREATE", `c${i}`, "DIM", chunk).exec();
  let refused: unknown;
  for (let i = 0; i < 30 && refused === undefined; i++) refused = (await create(i))![0]![0]?.message;
  expect(refused).toMatch(/^BUSY/);
});

test.each(["1048575", "1099511627777", "-1", "much"])("vstore.log-max-bytes %s is refused", async (bytes) => {
  const { sidecar } = await startPlayed();
  await expect(sidecar.redis.config("SET", "vstore.log-max-bytes", bytes)).rejects.toThrow();
});

test("vstore.log-max-bytes takes its bounds and has its default", async () => {
  const server = await startRedis();
  const redis = connectClient(server.url);
  onTestFinished(async () => {
    redis.disconnect();
    await server.stop();
  });
  expect(await redis.config("GET", "vstore.log-max-bytes")).toEqual(["vstore.log-max-bytes", "1073741824"]);
  for (const bytes of ["1048576", "1099511627776"])
    expect(await redis.config("SET", "vstore.log-max-bytes", bytes)).toBe("OK");
});

/** 64 vectors of 1 KiB each. */
const batch = fp32Of(new Float32Array(64 * 256).fill(0.5));
const minsert = (redis: Redis, name: string) =>
  redis.call(
    "VSTORE.MINSERT",
    "c",
    64,
    ...Array.from({ length: 64 }, (_, i) => `${name}:${i}`),
    "FP32",
    batch,
  );

test("a stalled sidecar cannot exhaust Redis: TIMEOUT, then BUSY, then VSTOREDOWN, and nothing acknowledged is lost", async () => {
  const vstore = await startVstore();
  const redis = connectClient(vstore.url);
  const writers = Array.from({ length: 32 }, () => connectClient(vstore.url));
  onTestFinished(async () => {
    for (const each of [redis, ...writers]) each.disconnect();
    await vstore.stop();
  });
  await redis.call("VSTORE.CREATE", "c", "DIM", 256, "METRIC", "L2");
  await redis.config("SET", "vstore.log-max-bytes", "8mb", "vstore.timeout", "300");
  const acknowledged = new Set<string>();
  const seen = new Map<string, number>();
  // Until it is stalled the log must not fill up: no client would be left to wait in vain.
  let isStalled = false;
  let isOver = false;
  const work = writers.map(async (writer, w) => {
    for (let i = 0; !isOver; i++) {
      while (!isStalled && acknowledged.size >= 20) await sleep(10);
      const name = `w${w}:${i}`;
      const reply = await minsert(writer, name).catch((error: Error) => error.message.split(" ")[0]!);
      if (typeof reply === "number") acknowledged.add(name);
      else await sleep(10);
      seen.set(String(reply), (seen.get(String(reply)) ?? 0) + 1);
    }
  });
  await until(
    () => acknowledged.size,
    (size) => size >= 20,
  );
  process.kill(vstore.sidecar.pid, "SIGSTOP");
  isStalled = true;
  const deadline = Date.now() + 6_500;
  let peak = 0;
  while (Date.now() < deadline) {
    peak = Math.max(peak, await memoryOf(redis, "vstore:{c}:log"));
    await sleep(100);
  }
  process.kill(vstore.sidecar.pid, "SIGCONT");
  isOver = true;
  await Promise.all(work);
  console.log(`log peak ${(peak / MIB).toFixed(2)} MiB of 8; replies ${JSON.stringify([...seen])}`);
  expect(peak).toBeLessThan(8.5 * MIB);
  for (const kind of ["TIMEOUT", "BUSY", "VSTOREDOWN"]) expect(seen.get(kind), kind).toBeGreaterThan(0);
  await served(redis, "VSTORE.CARD", "c");
  for (const name of acknowledged)
    expect(await served(redis, "VSTORE.EXISTS", "c", `${name}:0`, `${name}:63`)).toBe(2);
  expect(await served(redis, "VSTORE.INSERT", "c", "after", "FP32", batch.subarray(0, 1024))).toBe(1);
});

test("in normal running early checkpoints keep the log well below the limit", async () => {
  const env = { VSTORE_CHECKPOINT_INTERVAL_MS: "3600000", VSTORE_CHECKPOINT_LOG_BYTES: String(4 * MIB) };
  const vstore = await startVstore({}, { env });
  const clients = Array.from({ length: 4 }, () => connectClient(vstore.url));
  const [redis] = clients as [Redis];
  onTestFinished(async () => {
    for (const each of clients) each.disconnect();
    await vstore.stop();
  });
  await redis.config("SET", "vstore.log-max-bytes", "32mb");
  await redis.call("VSTORE.CREATE", "c", "DIM", 256, "METRIC", "L2");
  let peak = 0;
  for (let round = 0; round < 400; round++) {
    await Promise.all(clients.map((client, i) => minsert(client, `r${round % 40}c${i}`)));
    if (round % 10 === 0) peak = Math.max(peak, await memoryOf(redis, "vstore:{c}:log"));
  }
  console.log(`100 MiB written, log peak ${(peak / MIB).toFixed(1)} MiB`);
  expect(peak).toBeLessThan(24 * MIB);
});

test("a Redis that has reached maxmemory gets its memory back through a checkpoint", async () => {
  const env = { VSTORE_CHECKPOINT_INTERVAL_MS: "1000" };
  const vstore = await startVstore({ args: ["--maxmemory-policy", "noeviction"] }, { env });
  const redis = connectClient(vstore.url);
  onTestFinished(async () => {
    redis.disconnect();
    await vstore.stop();
  });
  await redis.call("VSTORE.CREATE", "c", "DIM", 256, "METRIC", "L2");
  await minsert(redis, "before");
  await redis.config("SET", "maxmemory", "1");
  await expect(minsert(redis, "refused")).rejects.toThrow("OOM");
  expect(await redis.call("VSTORE.CARD", "c")).toBe(64);
  expect(
    await until(
      () => redis.xlen("vstore:{c}:log"),
      (length) => length === 0,
    ),
  ).toBe(0);
  await redis.config("SET", "maxmemory", "0");
  expect(await minsert(redis, "after")).toBe(64);
});
