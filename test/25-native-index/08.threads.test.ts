/** How many threads search and build: --search-threads and --build-threads. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generator, randomVector } from "../../harness/random.ts";
import { startRedis } from "../../harness/redis-server.ts";
import { startSidecar } from "../../harness/sidecar.ts";
import { connectClient } from "../harness/serving.ts";

const DIMENSIONS = 8;
const KEYS = 100;

/** Those that this process, and what it starts, may run on. */
function cores(): number {
  const [, mask] = /Cpus_allowed:\s+(\S+)/.exec(readFileSync("/proc/self/status", "utf8"))!;
  const bits = (digit: string) => Number.parseInt(digit, 16).toString(2).replaceAll("0", "").length;
  return [...mask!.replaceAll(",", "")].reduce((sum, digit) => sum + bits(digit), 0);
}

/** Names of the threads of a process, without those that the pool has not named. */
function poolThreads(pid: number): string[] {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const names = tasks.map((task) => readFileSync(`/proc/${pid}/task/${task}/comm`, "utf8").trim());
  return names.filter((name) => name.startsWith("vstore-"));
}

async function threadsAfterBuild(args: readonly string[]): Promise<Record<string, number>> {
  const server = await startRedis();
  const sidecar = startSidecar({ redisUrl: server.url, args: [...args, "--index", "native"] });
  const redis = connectClient(server.url);
  try {
    await sidecar.waitReady();
    await redis.call("VSTORE.CREATE", "c", "DIM", DIMENSIONS, "METRIC", "L2");
    const random = generator(1);
    const keys = Array.from({ length: KEYS }, (_, i) => `k${i}`);
    const vectors = keys.map(() => Buffer.from(randomVector(random, DIMENSIONS).buffer));
    await redis.call("VSTORE.MINSERT", "c", KEYS, ...keys, "FP32", Buffer.concat(vectors));
    await redis.call("VSTORE.BUILD", "c", "WAIT");
    const names = poolThreads(sidecar.pid);
    const count = (name: string) => names.filter((each) => each === name).length;
    return { search: count("vstore-search"), build: count("vstore-build") };
  } finally {
    redis.disconnect();
    await sidecar.stop();
    await server.stop();
  }
}

test("are as many as the settings say", async () => {
  const args = ["--search-threads", "3", "--build-threads", "1"];
  expect(await threadsAfterBuild(args)).toEqual({ search: 3, build: 1 });
});

test("are one per core without a setting", async () => {
  expect(await threadsAfterBuild([])).toEqual({ search: cores(), build: cores() });
});
