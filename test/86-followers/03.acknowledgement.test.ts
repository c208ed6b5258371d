/** `--sync-followers`: a write is answered when followers have applied it, and refused when there are too few. */
import { rmSync } from "node:fs";
import type { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, served, until } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

const stage = eachTestOnStage();
let redis: Redis;

beforeEach(() => {
  redis = connectClient(stage.server.url);
});
afterEach(() => redis.disconnect());

const call = (command: string, ...args: (string | number | Buffer)[]) =>
  redis.call(`VSTORE.${command}`, ...args) as Promise<unknown>;
const insert = (key: string, ...rest: string[]) => call("INSERT", "c", key, "FP32", fp32(1, 2), ...rest);

async function moduleFact(name: string): Promise<string> {
  return new RegExp(`^vstore_${name}:(.*)\r$`, "m").exec(await redis.info("vstore"))![1]!;
}

const untilInStep = (count: number) =>
  until(
    () => moduleFact("followers_in_step"),
    (found) => found === String(count),
  );

function start(role: string, syncFollowers: number): SidecarProcess {
  const env = { VSTORE_ROLE: role, VSTORE_SYNC_FOLLOWERS: String(syncFollowers) };
  return stage.join({ env, checkpointIntervalMs: NO_CHECKPOINTS });
}

/** A leader, a follower in step, and a collection. */
async function pair(): Promise<[SidecarProcess, SidecarProcess]> {
  const leader = start("leader", 1);
  await leader.waitReady();
  const follower = start("auto", 0);
  await untilInStep(1);
  await call("CREATE", "c", "DIM", 2, "METRIC", "L2");
  return [leader, follower];
}

test("an acknowledged write survives the loss of the leader's machine and of its Redis together", async () => {
  const [leader, follower] = await pair();
  await call("CREATE", "gone", "DIM", 2);
  await call("DROP", "gone");
  const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
  for (const key of keys) expect(await insert(key)).toBe(1);
  await call("CREATE", "late", "DIM", 3);
  // What the follower has not applied by now it never will.
  await leader.kill();
  rmSync(leader.dataDir, { recursive: true });
  await stage.server.kill();
  await stage.server.run(); // it saved nothing
  expect(await redis.dbsize()).toBe(0);
  await follower.waitReady();
  expect(await served(redis, "VSTORE.EXISTS", "c", ...keys)).toBe(keys.length);
  expect(await call("LIST")).toEqual(["c", "late"]);
});

test("while followers are missing a write is refused at once, and nothing is appended", async () => {
  const leader = start("leader", 1);
  await leader.waitReady();
  await expect(call("CREATE", "c", "DIM", 2)).rejects.toThrow(
    "NOREPLICAS a write needs 1 followers in step, and there are 0",
  );
  const follower = start("follower", 0);
  await untilInStep(1);
  await call("CREATE", "c", "DIM", 2);
  await follower.kill();
  const length = await redis.xlen("vstore:{c}:log");
  for (const write of [insert("a"), insert("a", "NOWAIT"), call("DEL", "c", "a"), call("DROP", "c")])
    await expect(write).rejects.toThrow("NOREPLICAS");
  expect(await redis.xlen("vstore:{c}:log")).toBe(length);
  expect(await redis.xlen("vstore:control")).toBe(0);
  expect(Number(await moduleFact("refused_replicas"))).toBeGreaterThanOrEqual(5);
  expect(await call("CARD", "c")).toBe(0);
  const queued = await redis.multi().call("VSTORE.INSERT", "c", "b", "FP32", fp32(1, 2)).exec();
  expect(String(queued![0]![1])).toMatch(/^QUEUED /);
  await until(
    () => call("CARD", "c"),
    (count) => count === 1,
  );
});

test("a follower that stands still: the answer says what is known, and later writes are refused", async () => {
  const [, follower] = await pair();
  await redis.config("SET", "vstore.timeout", "500");
  process.kill(follower.pid, "SIGSTOP");
  const known = "TIMEOUT no acknowledgement within 500 ms; the write is applied, by 0 of 1 followers too";
  await expect(insert("a")).rejects.toThrow(known);
  expect(await call("EXISTS", "c", "a")).toBe(1);
  await until(
    () => insert("b").catch(String),
    (answer) => String(answer).includes("NOREPLICAS"),
  );
  await redis.config("SET", "vstore.timeout", "30000");
  process.kill(follower.pid, "SIGCONT");
  await untilInStep(1);
  expect(await insert("c")).toBe(1);
});

test("a refusal waits for no follower", async () => {
  const [, follower] = await pair();
  await redis.config("SET", "vstore.timeout", "30000");
  process.kill(follower.pid, "SIGSTOP");
  await expect(call("INSERT", "c", "a", "FP32", fp32(1))).rejects.toThrow("8 bytes");
  process.kill(follower.pid, "SIGCONT");
});

test("a write waits for as many followers as are wanted", async () => {
  const leader = start("leader", 2);
  await leader.waitReady();
  const followers = [start("follower", 0), start("follower", 0)];
  await untilInStep(2);
  await call("CREATE", "c", "DIM", 2);
  const inserts = Array.from({ length: 500 }, (_, i) => insert(`k${i}`));
  expect(await Promise.all(inserts)).toEqual(Array(500).fill(1));
  await redis.config("SET", "vstore.timeout", "500");
  process.kill(followers[0]!.pid, "SIGSTOP");
  await expect(insert("x")).rejects.toThrow("by 1 of 2 followers too");
  process.kill(followers[0]!.pid, "SIGCONT");
});

test("a follower that was started again has to apply a write again", async () => {
  const [, follower] = await pair();
  await insert("a");
  await follower.kill();
  const again = stage.join({
    dataDir: follower.dataDir,
    env: { VSTORE_ROLE: "auto" },
    checkpointIntervalMs: NO_CHECKPOINTS,
  });
  await untilInStep(1);
  expect(await insert("b")).toBe(1);
  await again.stop();
});
