/**
 * An old leader comes back with writes that were lost at a fail-over: it gets the files of the one that leads now, and
 * never shows or serves what was lost.
 */
import { beforeEach, expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { served, until } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

const collections = ["a", "b"];
/** Writes of one round. */
const WRITES = 40;
const lost = "the files hold writes that were lost at a fail-over";

const stage = eachTestOnStage();
let random: () => number;
beforeEach(() => {
  random = generator(testSeed());
});

type Word = string | number | Buffer;
const call = (command: string, ...args: Word[]) => served(stage.redis, `VSTORE.${command}`, ...args);

function join(dataDir?: string, role = "auto"): SidecarProcess {
  const options = { checkpointIntervalMs: NO_CHECKPOINTS, env: { VSTORE_ROLE: role } };
  return stage.join(dataDir === undefined ? options : { ...options, dataDir });
}

async function lead(dataDir?: string): Promise<SidecarProcess> {
  const sidecar = join(dataDir);
  await sidecar.waitReady();
  return sidecar;
}

/** Writes of all kinds, so that few of the keys are left as they were. */
async function write(round: string): Promise<void> {
  const pick = (choices: number) => Math.floor(random() * choices);
  for (let i = 0; i < WRITES; i++) {
    const [name, key] = [collections[pick(2)]!, `key:${pick(12)}`];
    const kind = pick(5);
    if (kind === 0) await call("DEL", name, key);
    else if (kind === 1) await call("SETATTR", name, key, JSON.stringify({ round, i }));
    else if (kind === 2) await call("PEXPIRE", name, key, 3_600_000 + i);
    else await call("INSERT", name, key, "FP32", fp32(pick(100), i), "SETATTR", JSON.stringify({ round }));
  }
  await call("CACHE.SET", "answers", "FP32", fp32(1, pick(9)), "VALUE", round);
}

/** All that clients can see of the vectors. */
async function everything(): Promise<unknown> {
  const all: unknown[] = [];
  const facts = (await call("INFO", "answers")) as unknown[];
  all.push(facts[facts.indexOf("vectors") + 1]);
  for (let i = 0; i < 9; i++) {
    const found = (await call("CACHE.GET", "answers", "FP32", fp32(1, i))) as unknown[] | null;
    all.push(["id", "value"].map((field) => found?.[found.indexOf(field) + 1]));
  }
  for (const name of ((await call("LIST")) as string[]).sort()) {
    if (name === "answers") continue;
    const [, keys] = (await call("SCAN", name, 0, "COUNT", 1_000)) as [string, string[]];
    for (const key of keys.sort()) {
      const remaining = Number(await call("PTTL", name, key));
      const expiry = remaining > 0 ? Math.round((Date.now() + remaining) / 1_000) : remaining;
      all.push([name, key, await call("GET", name, key), await call("GETATTR", name, key), expiry]);
    }
    all.push([name, await call("CARD", name)]);
  }
  return all;
}

/** Redis comes back as it was saved, and nobody is waited for. */
async function loseTheEnd(): Promise<void> {
  await stage.server.kill();
  await stage.server.restart();
  await stage.redis.del("vstore:leader");
}

/**
 * A leader whose last writes, CREATE and DROP are in its files alone, and the directory of the follower that leads now
 * and knows nothing of them.
 */
async function failOver(): Promise<{ old: string; leader: SidecarProcess }> {
  const first = await lead();
  for (const name of [...collections, "kept"]) await call("CREATE", name, "DIM", 2, "METRIC", "L2");
  await call("CACHE.CREATE", "answers", "DIM", 2, "WITHIN", 0.1);
  await call("INSERT", "kept", "k", "FP32", fp32(1, 2));
  await write("common");
  const second = join();
  await second.waitLog("in step");
  await second.stop();
  await stage.redis.save();
  await write("lost");
  await call("DROP", "kept");
  await call("CREATE", "extra", "DIM", 2);
  await call("INSERT", "extra", "x", "FP32", fp32(1, 2));
  await call("CHECKPOINT");
  await first.kill();
  await loseTheEnd();
  const leader = await lead(second.dataDir);
  return { old: first.dataDir, leader };
}

/** The old leader follows, and leads in the end with the files that it has then. */
async function expectSameAfterHandOver(leader: SidecarProcess, returned: SidecarProcess): Promise<void> {
  await returned.waitLog("in step");
  await until(
    () => stage.redis.info("vstore"),
    (info) => info.includes("vstore_followers_ready:1"),
  );
  const before = await everything();
  await leader.stop();
  await returned.waitReady();
  expect(await everything()).toEqual(before);
}

test("after one fail-over; until then it does not lead with what was lost", async () => {
  const { old, leader } = await failOver();
  expect(await call("LIST")).not.toContain("extra");
  await write("after");
  await leader.kill();
  const returned = join(old);
  await returned.waitLog(lost);
  expect(returned.stdout).not.toContain("ready");
  const again = await lead(leader.dataDir);
  await expectSameAfterHandOver(again, returned);
});

test("after several fail-overs in a row, of which one is not known any more", async () => {
  const { old, leader } = await failOver();
  for (let round = 1; round <= 2; round++) {
    await write(`after ${round}`);
    await stage.redis.save();
    await loseTheEnd();
    await call("CARD", "a");
  }
  await stage.redis.hset("vstore:timelines", "b", "");
  const returned = join(old);
  await expectSameAfterHandOver(leader, returned);
  expect(returned.stderr.split(lost).length).toBeGreaterThan(collections.length);
});

test("files that nobody knows the timeline of lead only when they are told to", async () => {
  const sidecar = await lead();
  await call("CREATE", "a", "DIM", 2);
  await call("INSERT", "a", "x", "FP32", fp32(1, 2));
  await sidecar.stop();
  await stage.redis.hset("vstore:timelines", "/", "f00d another-process", "a", "");
  const refused = join(sidecar.dataDir, "leader");
  await refused.waitLog("not serving: the files of collection 'a' end at");
  await stage.redis.del("vstore:timelines");
  await refused.waitReady();
  expect(await call("EXISTS", "a", "x")).toBe(1);
});

test("a follower that has all that the leader has needs no snapshot", async () => {
  const first = await lead();
  for (const name of collections) await call("CREATE", name, "DIM", 2, "METRIC", "L2");
  await call("CACHE.CREATE", "answers", "DIM", 2, "WITHIN", 0.1);
  await write("common");
  await call("CHECKPOINT");
  const second = join();
  await second.waitLog("in step");
  await stage.redis.save();
  await first.kill();
  await loseTheEnd();
  await second.waitReady();
  await write("after");
  const returned = join(first.dataDir);
  await expectSameAfterHandOver(second, returned);
  expect(returned.stderr).not.toContain("out of step");
});
