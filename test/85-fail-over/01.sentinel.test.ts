/** A sidecar that asks Sentinels for the primary goes to the new one, and nothing acknowledged is lost on the way. */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, served, until } from "../harness/serving.ts";

const name = "main";
/** Writes before and after the fail-over. */
const WRITES = 200;

let servers: RedisServer[];
let watcher: Redis;
let client: Redis;
let sidecar: SidecarProcess;

/** Where Sentinel says that the primary is. */
const primaryPort = async () =>
  Number(((await watcher.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)) as string[])[1]);

beforeEach(async () => {
  const first = await startRedis({ appendonly: "always" });
  const second = await startRedis({ appendonly: "always", args: ["--replicaof", `127.0.0.1 ${first.port}`] });
  const sentinel = await startRedis({ sentinelOf: { name, port: first.port } });
  servers = [sentinel, first, second];
  watcher = connectClient(sentinel.url);
  await until(
    async () => String(await watcher.call("SENTINEL", "REPLICAS", name)),
    (replicas) => replicas.includes("master-link-status,ok"),
  );
  const redisUrl = `redis+sentinel://127.0.0.1:${sentinel.port}/${name}`;
  sidecar = startSidecar({ redisUrl, dataDir: temporaryDirectory() });
  await sidecar.waitReady();
  client = new Redis({
    sentinels: [{ host: "127.0.0.1", port: sentinel.port }],
    name,
    protocol: 2,
    retryStrategy: () => 50,
    sentinelRetryStrategy: () => 50,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
  });
  client.on("error", () => {});
  await client.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
});

afterEach(async () => {
  client.disconnect();
  watcher.disconnect();
  await sidecar.kill();
  for (const server of servers) await server.stop();
});

/** Writes until so many are acknowledged; what fails is in doubt, and not written again. */
async function write(acknowledged: string[], count: number): Promise<void> {
  const wanted = acknowledged.length + count;
  for (let attempt = 0; acknowledged.length < wanted; attempt++) {
    const key = `${wanted}:${attempt}`;
    const answer = await client.call("VSTORE.INSERT", "c", key, "FP32", fp32(attempt, wanted)).catch(() => 0);
    if (answer === 1) acknowledged.push(key);
    else await sleep(20);
  }
}

async function passes(failOver: () => Promise<unknown>): Promise<void> {
  const before = await primaryPort();
  const acknowledged: string[] = [];
  await write(acknowledged, WRITES);
  const begun = performance.now();
  await failOver();
  const pending = write(acknowledged, WRITES);
  await until(primaryPort, (port) => port !== before);
  await pending;
  console.log(`${WRITES} more writes after ${Math.round(performance.now() - begun)} ms`);
  expect(await served(client, "VSTORE.EXISTS", "c", ...acknowledged)).toBe(acknowledged.length);
  expect(await client.role()).toContain("master");
}

test("the primary's process dies: the sidecar serves on the other one, and the old one comes back as its replica", async () => {
  const [, first] = servers;
  await passes(() => first!.kill());
  await first!.run();
  const old = connectClient(first!.url);
  await until(
    async () => String(await old.role()),
    (role) => role.startsWith("slave"),
  );
  old.disconnect();
  const acknowledged: string[] = [];
  await write(acknowledged, 20);
  expect(await client.call("VSTORE.EXISTS", "c", ...acknowledged)).toBe(20);
});

test("a planned fail-over: the same", async () => {
  await passes(() => watcher.call("SENTINEL", "FAILOVER", name));
});

test("a sidecar that starts while no Sentinel answers waits, and serves once one does", async () => {
  const [sentinel] = servers;
  await sidecar.stop();
  await sentinel!.kill();
  sidecar = startSidecar({
    redisUrl: `redis+sentinel://127.0.0.1:${sentinel!.port}/${name}`,
    dataDir: sidecar.dataDir,
  });
  await sidecar.waitLog("sentinel");
  await sentinel!.run();
  await sidecar.waitReady();
});
