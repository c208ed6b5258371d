/** A sidecar that finds its primary in the cluster, and follows it to the replica that takes its place. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ClusterNode, RedisCluster } from "../../harness/cluster.ts";
import { ownDirectory, removeWithProcesses } from "../../harness/left-behind.ts";
import type { RedisOptions } from "../../harness/redis-server.ts";
import { isServerSince } from "../../harness/server-program.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { until } from "../harness/serving.ts";

const options: RedisOptions = { appendonly: "always" };

let cluster: RedisCluster;
let client: Cluster;
let primary: ClusterNode;
let replica: ClusterNode;
let sidecar: SidecarProcess;
const dataDir = ownDirectory("data");

const serve = (node: string) => {
  const places = cluster.nodes.map(({ server }) => `127.0.0.1:${server.port}`);
  return startSidecar({ redisUrl: `redis+cluster://${places.join()}`, dataDir, args: ["--node", node] });
};

const insert = (i: number) => client.call("VSTORE.INSERT", "docs", `k${i}`, "FP32", fp32(i, 1));

/** The keys of those that were answered, while `change` happens and until a write is answered after it. */
async function writeThrough(change: () => Promise<unknown>, from: number): Promise<string[]> {
  const answered: string[] = [];
  let isOver = false;
  const write = async () => {
    for (let i = from; ; i++) {
      const begunAfter = isOver;
      const isAnswered = await insert(i).then(
        () => true,
        () => sleep(20, false),
      );
      if (isAnswered) answered.push(`k${i}`);
      if (isAnswered && begunAfter) return;
    }
  };
  const writing = write();
  await until(
    () => answered.length,
    (count) => count > 20,
  );
  await change();
  isOver = true;
  await writing;
  return answered;
}

const isPrimary = async ({ redis }: ClusterNode) =>
  /^role:master/m.test(await redis.info("replication").catch(() => ""));

const becomes = (node: ClusterNode) =>
  until(
    () => isPrimary(node),
    (is) => is,
  );

beforeAll(async () => {
  cluster = await RedisCluster.start(3, options);
  primary = await cluster.nodeOf("docs");
  replica = await cluster.addReplica(primary, options);
  sidecar = serve(primary.id);
  await sidecar.waitReady();
  client = cluster.connect();
});

afterAll(async () => {
  client.disconnect();
  await sidecar.kill();
  await cluster.stop();
  removeWithProcesses(dataDir);
});

test("it serves the primary of its node, and says which one", async () => {
  expect(sidecar.stdout).toContain("vstore ready");
  expect(await client.call("VSTORE.CREATE", "docs", "DIM", 2, "METRIC", "L2")).toBe("OK");
  expect(await insert(0)).toBe(1);
  const facts = await primary.redis.info("vstore");
  expect(facts).toMatch(/^vstore_attached:1\r$/m);
});

test("it goes on with the replica that CLUSTER FAILOVER has promoted, and loses no answered write", async () => {
  const answered = await writeThrough(async () => {
    await replica.redis.call("CLUSTER", "FAILOVER");
    await becomes(replica);
  }, 1);
  expect(await client.call("VSTORE.EXISTS", "docs", ...answered)).toBe(answered.length);
  expect(await replica.redis.info("vstore")).toMatch(/^vstore_attached:1\r$/m);
});

test("after a restart it finds that primary by the node that is a replica now, by its address too", async () => {
  await until(
    () => primary.redis.info("replication"),
    (info) => info.includes("role:slave") && info.includes("master_link_status:up"),
  );
  await sidecar.kill();
  sidecar = serve(`127.0.0.1:${primary.server.port}`);
  await sidecar.waitReady();
  await until(
    () => insert(100_000).catch(String),
    (answer) => answer === 1 || answer === 0,
  );
  expect(await client.call("VSTORE.EXISTS", "docs", "k0", "k1", "k100000")).toBe(3);
});

test("it goes on when its primary is killed and the cluster promotes the other node", async () => {
  const answered = await writeThrough(async () => {
    await replica.server.kill();
    await becomes(primary);
  }, 200_000);
  expect(await client.call("VSTORE.EXISTS", "docs", ...answered)).toBe(answered.length);
  expect(await client.call("VSTORE.EXISTS", "docs", "k0", "k1", "k100000")).toBe(3);
  expect(await primary.redis.info("vstore")).toMatch(/^vstore_attached:1\r$/m);
});

test("where its node is gone for good, a restart finds the new primary if the server knows, and else says so", async () => {
  await sidecar.kill();
  sidecar = serve(replica.id);
  if (isServerSince(7, 2)) await sidecar.waitReady();
  else await sidecar.waitLog("name one that is there");
});
