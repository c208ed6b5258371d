/** Followers and their leader, as processes on one Redis, each with a data directory of its own. */
import { rmSync } from "node:fs";
import type { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import { backup } from "../../src/engine/tools/backup.ts";
import { restore } from "../../src/engine/tools/restore.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage({ appendonly: "always" });
let redis: Redis;

beforeEach(() => {
  redis = connectClient(stage.server.url);
});
afterEach(() => redis.disconnect());

const call = (command: string, ...args: (string | number | Buffer)[]) =>
  redis.call(`VSTORE.${command}`, ...args) as Promise<unknown>;
const insert = (key: string, ...vector: number[]) => call("INSERT", "c", key, "FP32", fp32(...vector));
const endOfLog = async (collection = "c") => String(((await call("WAIT", collection)) as unknown[])[0]);

async function lead(env: Record<string, string> = {}): Promise<SidecarProcess> {
  const leader = stage.join({ env });
  await leader.waitReady();
  await call("CREATE", "c", "DIM", 2, "METRIC", "L2");
  return leader;
}

function follow(role: "follower" | "auto" = "follower", dataDir?: string): SidecarProcess {
  return stage.join({ checkpointIntervalMs: 1_000, env: { VSTORE_ROLE: role }, ...(dataDir && { dataDir }) });
}

/** What followers have made durable, by their ids. */
async function durable(): Promise<Record<string, string>[]> {
  const ids = Object.keys(await redis.hgetall("vstore:followers"));
  return Promise.all(ids.map((id) => redis.hgetall(`vstore:follower:${id}`)));
}

async function untilDurable(collection = "c"): Promise<void> {
  const end = await endOfLog(collection);
  await until(durable, (all) => all.length > 0 && all.every((each) => each[collection] === end));
}

async function fact(name: string): Promise<unknown> {
  const facts = (await call("INFO")) as unknown[];
  return facts[facts.indexOf(name) + 1];
}

/** The backup of a leader that serves, in the place of what a follower had. */
async function backUp(leaderDir: string, followerDir: string): Promise<void> {
  const saved = `${temporaryDirectory()}/backup`;
  await backup(leaderDir, saved, () => {});
  rmSync(followerDir, { recursive: true });
  await restore(saved, followerDir, () => {});
}

async function filesOf(follower: SidecarProcess): Promise<Catalog> {
  await follower.stop();
  const catalog = await Catalog.open(follower.dataDir);
  onTestFinished(() => catalog.close());
  return catalog;
}

test("collections may have the names of what every object has", async () => {
  const leader = await lead();
  follow();
  const names = ["constructor", "__proto__"];
  for (const name of names) await call("CREATE", name, "DIM", 2, "FOLLOW", "PREFIX", "doc:");
  for (const name of names) await untilDurable(name);
  await leader.stop();
  await stage.join({ dataDir: leader.dataDir }).waitReady();
  for (const name of names) {
    expect(await call("INSERT", name, "k", "FP32", fp32(1, 2))).toBe(1);
    await untilDurable(name);
  }
});

describe("a follower", () => {
  test("has all that the leader has, from the beginning of the logs and from then on", async () => {
    await lead();
    await insert("a", 1, 2);
    const follower = follow();
    await follower.waitLog("in step");
    await call("CREATE", "d", "DIM", 2, "METRIC", "COSINE", "M", 8);
    await call(
      "MINSERT",
      "c",
      3,
      "b",
      "e",
      "f",
      "FP32",
      fp32(3, 4, 5, 6, 7, 8),
      "SETATTR",
      '{"n":1}',
      "",
      "",
    );
    await call("DEL", "c", "e");
    await call("EXPIRE", "c", "f", 1_000);
    await expect(insert("bad", 1)).rejects.toThrow("8 bytes");
    await call("INSERT", "d", "x", "FP32", fp32(0, 1));
    await untilDurable();
    await untilDurable("d");
    const catalog = await filesOf(follower);
    expect(catalog.names()).toEqual(["c", "d"]);
    const { length, position } = catalog.get("c");
    expect([length, position]).toEqual([3, await endOfLog()]);
    expect([...catalog.get("c").get(Buffer.from("b"))!]).toEqual([3, 4]);
    expect(catalog.get("c").getAttributes(Buffer.from("b"))).toBe('{"n":1}');
    expect(catalog.get("c").lifetimes.expiring).toBe(1);
    expect(catalog.get("d").options).toMatchObject({ dimensions: 2, metric: "COSINE", M: 8 });
  });

  test("goes on where its files end, and drops and creates as the leader does", async () => {
    await lead();
    await call("CREATE", "gone", "DIM", 2);
    await insert("a", 1, 2);
    const first = follow();
    await first.waitLog("in step");
    await first.kill();
    await call("DROP", "gone");
    await call("DROP", "c");
    await call("CREATE", "c", "DIM", 3);
    await insert("b", 1, 2, 3);
    const second = follow("follower", first.dataDir);
    await second.waitLog("in step");
    await untilDurable();
    const catalog = await filesOf(second);
    expect(catalog.names()).toEqual(["c"]);
    expect([...catalog.get("c").get(Buffer.from("b"))!]).toEqual([1, 2, 3]);
    expect(catalog.get("c").length).toBe(1);
  });

  test("never leads, and answers nothing", async () => {
    const leader = await lead();
    const follower = follow();
    await follower.waitLog("in step");
    await leader.stop();
    await expect(call("CARD", "c")).rejects.toThrow("VSTOREDOWN");
    const beat = async () => Object.values(await redis.hgetall("vstore:followers"))[0]!;
    const before = Number.parseInt(await beat(), 10);
    await until(beat, (text) => Number.parseInt(text, 10) >= before + 7); // longer than a lease
    await expect(call("CARD", "c")).rejects.toThrow("VSTOREDOWN");
    expect(follower.stdout).toBe("");
    await stage.join({ dataDir: leader.dataDir }).waitReady();
    expect(await call("CARD", "c")).toBe(0);
  });

  test("drops nothing on the word of a leader that is gone", async () => {
    const leader = await lead();
    await insert("a", 1, 2);
    const follower = follow();
    await untilDurable();
    await leader.kill();
    const beat = async () => Number.parseInt(Object.values(await redis.hgetall("vstore:followers"))[0]!, 10);
    const beats = async (count: number) => {
      const before = await beat();
      await until(beat, (now) => now >= before + count);
    };
    await beats(2); // it has heard the last word of the leader
    await redis.hdel("vstore:progress", "c");
    await beats(3);
    expect((await filesOf(follower)).get("c").length).toBe(1);
  });

  test("does not follow with the files of another Redis", async () => {
    await lead();
    await insert("a", 1, 2);
    const follower = follow();
    await follower.waitLog("in step");
    await follower.stop();
    await redis.set("vstore:store", "another");
    const again = follow("follower", follower.dataDir);
    await again.waitLog("belong to another Redis");
    await again.kill();
  });
});

describe("trimming", () => {
  test("waits for a follower that is behind", async () => {
    await lead();
    const follower = follow();
    await follower.waitLog("in step");
    await untilDurable();
    process.kill(follower.pid, "SIGSTOP");
    for (let i = 0; i < 50; i++) await insert(`k${i}`, i, i);
    await call("CHECKPOINT", "c");
    const length = () => redis.xlen("vstore:{c}:log");
    await until(
      () => fact("followers"),
      (count) => count === 1,
    );
    expect(await length()).toBe(50);
    process.kill(follower.pid, "SIGCONT");
    await until(length, (entries) => entries === 0);
    expect((await filesOf(follower)).get("c").length).toBe(50);
  });

  test("waits within a number of bytes; then a snapshot brings the follower back", async () => {
    const leader = await lead({ VSTORE_FOLLOWER_LOG_BYTES: String(1024 * 1024) });
    await call("CREATE", "wide", "DIM", 16_384);
    const follower = follow();
    await follower.waitLog("in step");
    process.kill(follower.pid, "SIGSTOP");
    for (let i = 0; i < 20; i++) await call("INSERT", "wide", `k${i}`, "FP32", Buffer.alloc(65_536, i + 1));
    await call("CHECKPOINT", "wide");
    await leader.waitLog("trimmed further than a follower");
    await until(
      () => redis.xlen("vstore:{wide}:log"),
      (entries) => entries === 0,
    );
    process.kill(follower.pid, "SIGCONT");
    await follower.waitLog("out of step");
    await follower.waitLog("a snapshot has arrived");
    await call("INSERT", "wide", "later", "FP32", Buffer.alloc(65_536, 1));
    await untilDurable("wide");
    await until(
      () => fact("followers_out_of_step"),
      (count) => count === 0,
    );
    expect((await filesOf(follower)).get("wide").length).toBe(21);
  });
});

describe("fail-over", () => {
  test("a follower leads when the leader is killed and its files are gone, and nothing acknowledged is lost", async () => {
    const leader = await lead();
    const follower = follow("auto");
    await follower.waitLog("in step");
    const acknowledged: string[] = [];
    for (let i = 0; i < 300; i++) {
      await insert(`k${i}`, i, 1);
      acknowledged.push(`k${i}`);
    }
    await call("CREATE", "late", "DIM", 2);
    const token = String(await call("TOKEN", "c"));
    const pipeline = redis.pipeline();
    for (let i = 300; i < 500; i++)
      pipeline.call("VSTORE.INSERT", "c", `k${i}`, "FP32", fp32(i, 1), "NOWAIT");
    for (const [i, [error]] of (await pipeline.exec())!.entries())
      if (error === null) acknowledged.push(`k${300 + i}`);
    await leader.kill();
    rmSync(leader.dataDir, { recursive: true });
    await follower.waitReady();
    expect(await call("EXISTS", "c", ...acknowledged, "ASOF", token)).toBe(acknowledged.length);
    expect(await call("CARD", "late")).toBe(0);
    await insert("new", 1, 2);
    expect(await fact("followers")).toBe(0);
    expect(await fact("log_losses")).toBe(0);
  });

  test("one after the other leads, each with files of its own", async () => {
    let leader = follow("auto");
    await leader.waitReady();
    await call("CREATE", "c", "DIM", 2, "METRIC", "L2");
    for (let round = 1; round <= 3; round++) {
      for (let i = 0; i < 100; i++) await insert(`${round}:${i}`, round, i);
      const next = follow("auto");
      await next.waitLog("following");
      // Its predecessor may have trimmed the beginning of the log.
      await next.stop();
      await backUp(leader.dataDir, next.dataDir);
      const successor = follow("auto", next.dataDir);
      await successor.waitLog("in step").catch((error) => {
        throw new Error(`${error}\n\n${leader.stderr}`);
      });
      await insert(`${round}:last`, round, 0).catch((error) => {
        throw new Error(`${error}\n\n${leader.stderr}\n\n${successor.stderr}`);
      });
      await leader.kill();
      rmSync(leader.dataDir, { recursive: true });
      await successor.waitReady();
      expect(await call("CARD", "c")).toBe(101 * round);
      leader = successor;
    }
  });
});
