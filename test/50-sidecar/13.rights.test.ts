/**
 * The users of docs/security.md, as they stand there, on a real server: what they can do, and what is said when a right
 * is missing.
 */
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { sidecarCommands } from "../../src/bridge/redis/rights.ts";
import type { Command } from "../../src/commands/command.ts";
import { commands } from "../../src/commands/registry.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32 } from "../harness/fp32.ts";
import { ingest, openQueue } from "../harness/ingest-queue.ts";
import { until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const page = readFileSync(new URL("../../docs/security.md", import.meta.url), "utf8");
const rules = /```acl\n([^`]+)```/.exec(page)![1]!.trimEnd().split("\n");
const stage = eachTestOnStage();

/** Makes the users, with further rules for one of them. */
async function createUsers(more: Record<string, string[]> = {}): Promise<void> {
  for (const rule of rules) {
    const [, name, ...rest] = rule.split(" ");
    await stage.redis.acl("SETUSER", name!, ...rest, ...(more[name!] ?? []));
  }
}

const urlOf = (user: string) => stage.server.url.replace("redis://", `redis://${user}:change-me@`);
const join = () => stage.join({ redisUrl: urlOf("vstore-sidecar"), checkpointIntervalMs: 1_000 });

function connectAs(user: string): Redis {
  const client = new Redis(urlOf(user), { protocol: 2, enableReadyCheck: false });
  client.on("error", () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

beforeEach(() => createUsers());

test("the page lists every command that the sidecar looks for, and no other one", () => {
  const listed = [...rules[0]!.matchAll(/\+(\S+)/g)].map(([, command]) => command);
  expect(listed.sort()).toEqual([...sidecarCommands, "vstore.info", "vstore.minsert"].sort());
});

test("an application may send every command but those of its administrator, a reader every read of them", () => {
  const allowed = (rule: string) =>
    [...rule.matchAll(/\+vstore\.(\S+)/g)].map(([, name]) => name!.toUpperCase());
  const administrators = ["CREATE", "DROP", "LIST", "BUILD", "CHECKPOINT", "CACHE.CREATE"];
  const open = [...commands.values()].filter(
    ({ internal, name }) => !internal && !administrators.includes(name),
  );
  const names = (some: readonly Command[]) => some.map(({ name }) => name);
  expect(allowed(rules[1]!).sort()).toEqual([...names(open), "HELP"].sort());
  const reads = open.filter(
    ({ route, name }) => route === "queries" && !["INFO", "WAIT", "CACHE.INFO"].includes(name),
  );
  expect(allowed(rules[2]!).sort()).toEqual([...names(reads), "HELP"].sort());
});

test("the sidecar's rights are enough for all that it does", async () => {
  await stage.redis.hset("doc:1", "v", fp32(1, 2));
  const sidecar = join();
  await sidecar.waitReady();
  const { redis } = stage;
  await redis.call("VSTORE.CREATE", "docs", "DIM", 2, "METRIC", "L2");
  await redis.call(
    "VSTORE.CREATE",
    "docs-followed",
    "DIM",
    2,
    "FOLLOW",
    "PREFIX",
    "doc:",
    "FROM",
    "HASH",
    "FIELD",
    "v",
  );
  await redis.call("VSTORE.INSERT", "docs", "a", "FP32", fp32(1, 2), "PX", 50);
  await redis.multi().call("VSTORE.INSERT", "docs", "b", "FP32", fp32(1)).exec();
  await redis.xadd("vstore:{docs}:queries", "*", "cmd", "CARD", "reply", "vstore:reply:x", "0", "docs");
  const items = Array.from({ length: 10 }, (_, i) => ({ key: `k${i}`, vector: [i, 1] }));
  const queue = openQueue(stage.server.url);
  onTestFinished(() => queue.close());
  expect((await ingest(queue, { collection: "docs", items })).inserted).toBe(10);
  await expect(ingest(queue, { collection: "docs-none", items })).rejects.toThrow("NOCOLLECTION");
  await until(
    () => redis.call("VSTORE.CARD", "docs"),
    (count) => count === 10,
  );
  await until(
    () => redis.hget("vstore:synced", "docs-followed"),
    (state) => state === "synced",
  );
  await redis.call("VSTORE.CHECKPOINT", "docs");
  await redis.del("vstore:{docs}:log"); // it is restored
  await until(
    () => redis.xlen("vstore:{docs}:log"),
    (length) => length === 0,
  );
  await new Promise((resolve) => setTimeout(resolve, 2_500)); // scheduled checkpoints, sweeps, compactions
  await redis.call("VSTORE.DROP", "docs-followed");
  expect(await redis.call("VSTORE.SEARCH", "docs", "FP32", fp32(3, 1), "COUNT", 1)).toEqual(["k3"]);
  expect(await redis.exists("vstore:reply:x")).toBe(1);
  await sidecar.stop();
  expect(await redis.call("ACL", "LOG")).toEqual([]);
  expect(sidecar.stderr).not.toMatch(/"level":(40|50)(?!.*"Redis has lost)/);
});

test.each([
  ["zcard", "zcard"],
  ["xtrim", "xtrim"],
  ["client|unblock", "client unblock"],
  ["vstore.reply", "vstore.reply"],
])("a missing right to %s is named in one line, and given it serves", async (command, named) => {
  await stage.redis.acl("SETUSER", "vstore-sidecar", `-${command}`);
  const sidecar = join();
  await sidecar.waitLog(
    `not serving: the Redis user 'vstore-sidecar' lacks rights on the keys vstore:* (see docs/security.md): ${named}"`,
  );
  await stage.redis.acl("SETUSER", "vstore-sidecar", `+${command}`);
  await sidecar.waitReady();
});

test("without the keys all commands on them are named", async () => {
  await stage.redis.acl("SETUSER", "vstore-sidecar", "resetkeys", "~other:*");
  const sidecar = join();
  await sidecar.waitLog("not serving:");
  expect(sidecar.stderr).toMatch(/NOPERM|lacks rights on the keys vstore:\*.*xadd.*xtrim/);
});

test("an application and a reader can do what their rules say, and nothing else", async () => {
  await stage.redis.set("secret", "top");
  await join().waitReady();
  await stage.redis.call("VSTORE.CREATE", "docs", "DIM", 2, "METRIC", "L2");
  await stage.redis.call("VSTORE.CREATE", "other", "DIM", 2);
  const [app, reader] = [connectAs("vstore-app"), connectAs("vstore-reader")];
  expect(await app.call("VSTORE.INSERT", "docs", "secret", "FP32", fp32(1, 2))).toBe(1);
  for (const user of [app, reader]) {
    expect(await user.call("VSTORE.SEARCH", "docs", "FP32", fp32(1, 2))).toEqual(["secret"]);
    expect(await user.call("VSTORE.SEARCH", "docs", "FP32", fp32(1, 2), "WITHVALUES")).toEqual([
      "secret",
      null,
    ]);
    for (const command of [
      ["VSTORE.CARD", "other"],
      ["VSTORE.CREATE", "docs2", "DIM", "2", "FOLLOW", "PREFIX", "secret"],
      ["VSTORE.LEAD", "2", "x", "1000"],
      ["VSTORE.REPLY", "vstore:control", "1-1", "+OK\r\n"],
      ["VSTORE.LIST"],
      ["XADD", "vstore:{docs}:log", "*", "cmd", "DEL"],
      ["GET", "secret"],
      ["VSTORE.DROP", "docs"],
    ])
      await expect(user.call(...(command as [string, ...string[]]))).rejects.toThrow("NOPERM");
  }
  await expect(reader.call("VSTORE.DEL", "docs", "secret")).rejects.toThrow("NOPERM");
  expect(await app.call("VSTORE.DEL", "docs", "secret")).toBe(1);
});

test("jobs that Redis refuses are logged and counted", async () => {
  const sidecar = join();
  await sidecar.waitReady();
  await stage.redis.call("VSTORE.CREATE", "docs", "DIM", 2);
  await stage.redis.acl("SETUSER", "vstore-sidecar", "-zadd", "-evalsha", "+evalsha", "-lpush");
  await stage.redis.call("VSTORE.CREATE", "docs2", "DIM", 2);
  await sidecar.waitLog("a job failed, or could not be made");
  const info = (await stage.redis.call("VSTORE.INFO")) as (string | number)[];
  expect(info[info.indexOf("job_failures") + 1]).toBeGreaterThan(0);
});

test("entries that name a key of another type as their reply fill no log", async () => {
  const sidecar = stage.join({ dataDir: temporaryDirectory() });
  await sidecar.waitReady();
  await stage.redis.call("VSTORE.CREATE", "docs", "DIM", 2);
  await stage.redis.set("vstore:reply:x", "no stream");
  const pipeline = stage.redis.pipeline();
  for (let i = 0; i < 500; i++)
    pipeline.xadd("vstore:{docs}:queries", "*", "cmd", "CARD", "reply", "vstore:reply:x", "0", "docs");
  await pipeline.exec();
  await until(
    () => stage.redis.xlen("vstore:{docs}:queries"),
    (length) => length === 0,
  );
  expect(sidecar.stderr.split("Redis refused an answer").length - 1).toBe(10);
});
