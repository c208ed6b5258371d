/** Leader and follower ask Sentinels for the primary, and one of them leads on the new one. */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
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
let sidecars: SidecarProcess[];
let redisUrl: string;

const primaryPort = async () =>
  Number(((await watcher.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)) as string[])[1]);

const moduleFact = async (field: string) =>
  new RegExp(`^vstore_${field}:(.*)\r$`, "m").exec(await client.info("vstore").catch(() => ""))?.[1];

function start(syncFollowers: number): SidecarProcess {
  const env = { VSTORE_ROLE: "auto", VSTORE_SYNC_FOLLOWERS: String(syncFollowers) };
  const sidecar = startSidecar({ redisUrl, dataDir: temporaryDirectory(), env });
  sidecars.push(sidecar);
  return sidecar;
}

/** A leader and a follower that is in step, on the primary. */
async function pair(syncFollowers: number): Promise<[SidecarProcess, SidecarProcess]> {
  const leader = start(syncFollowers);
  await leader.waitReady();
  const follower = start(syncFollowers);
  await untilReady();
  await client.call("VSTORE.CREATE", "c", "DIM", 2, "METRIC", "L2");
  return [leader, follower];
}

const untilReady = () =>
  until(
    () => moduleFact("followers_ready"),
    (count) => count === "1",
  );

beforeEach(async () => {
  const first = await startRedis({ appendonly: "always" });
  const second = await startRedis({ appendonly: "always", args: ["--replicaof", `127.0.0.1 ${first.port}`] });
  const sentinel = await startRedis({ sentinelOf: { name, port: first.port } });
  servers = [sentinel, first, second];
  sidecars = [];
  watcher = connectClient(sentinel.url);
  await until(
    async () => String(await watcher.call("SENTINEL", "REPLICAS", name)),
    (replicas) => replicas.includes("master-link-status,ok"),
  );
  redisUrl = `redis+sentinel://127.0.0.1:${sentinel.port}/${name}`;
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
});

afterEach(async () => {
  client.disconnect();
  watcher.disconnect();
  for (const sidecar of sidecars) await sidecar.kill();
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

test("the machine of the leader and the primary dies: the follower serves on the new primary, and nothing is lost", async () => {
  const [leader, follower] = await pair(1);
  const before = await primaryPort();
  const acknowledged: string[] = [];
  await write(acknowledged, WRITES);
  const begun = performance.now();
  await Promise.all([leader.kill(), servers[1]!.kill()]);
  await until(primaryPort, (port) => port !== before);
  await follower.waitReady();
  console.log(`serves after ${Math.round(performance.now() - begun)} ms`);
  expect(await served(client, "VSTORE.EXISTS", "c", ...acknowledged)).toBe(acknowledged.length);
  start(1); // a follower again, so that writes are acknowledged
  await write(acknowledged, 20);
  expect(await served(client, "VSTORE.EXISTS", "c", ...acknowledged)).toBe(acknowledged.length);
});

test("a planned fail-over: one leads on the new primary, the other follows there", async () => {
  await pair(0);
  const before = await primaryPort();
  const acknowledged: string[] = [];
  await write(acknowledged, WRITES);
  await watcher.call("SENTINEL", "FAILOVER", name);
  const pending = write(acknowledged, WRITES);
  await until(primaryPort, (port) => port !== before);
  await pending;
  await untilReady();
  expect(await served(client, "VSTORE.EXISTS", "c", ...acknowledged)).toBe(acknowledged.length);
  expect(await client.role()).toContain("master");
});

test("the primary stands still: the leader leads on the new one, with all that it has acknowledged", async () => {
  const [leader, follower] = await pair(1);
  const before = await primaryPort();
  const acknowledged: string[] = [];
  await write(acknowledged, WRITES);
  const { pid } = servers[1]!;
  process.kill(pid, "SIGSTOP");
  try {
    await until(primaryPort, (port) => port !== before);
    for (const sidecar of [leader, follower]) await sidecar.waitLog("this one is silent");
    const other = connectClient(servers[2]!.url);
    onTestFinished(() => other.disconnect());
    expect(await served(other, "VSTORE.EXISTS", "c", ...acknowledged)).toBe(acknowledged.length);
  } finally {
    process.kill(pid, "SIGCONT");
  }
});
