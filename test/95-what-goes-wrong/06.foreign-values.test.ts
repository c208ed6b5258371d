/**
 * Another kind of value in the place of vstore's keys: which commands fail, with which words, and that nothing is lost.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, expect, test } from "vitest";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { served, until } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

const log = "vstore:{docs}:log";
const queries = "vstore:queries";

const stage = eachTestOnStage();
let sidecar: SidecarProcess;

beforeEach(async () => {
  sidecar = stage.join({ checkpointIntervalMs: NO_CHECKPOINTS });
  await sidecar.waitReady();
  for (const name of ["docs", "others"]) await call("CREATE", name, "DIM", 2, "METRIC", "L2");
  for (let i = 0; i < 10; i++) await insert("docs", i);
});

const call = (name: string, ...args: (string | number)[]) =>
  served(stage.redis, `VSTORE.${name}`, ...args) as Promise<unknown>;
const insert = (collection: string, i: number) => call("INSERT", collection, `k${i}`, "VALUES", 2, i, 1);
const count = (collection: string) => call("CARD", collection);

/** What INFO says. */
async function figures(...collection: string[]): Promise<Record<string, string | number>> {
  const info = (await call("INFO", ...collection)) as (string | number)[];
  return Object.fromEntries(info.flatMap((name, i) => (i % 2 === 0 ? [[name, info[i + 1]!]] : [])));
}

const obstructed = async (...collection: string[]) => (await figures(...collection)).obstructed_streams;

/** Resolves when INFO says so. */
const untilObstructed = (streams: number) => until(obstructed, (found) => found === streams);

/** A crash; the next sidecar need not wait for the lease to expire. */
async function crash(): Promise<void> {
  await sidecar.kill();
  await stage.redis.del("vstore:leader");
}

async function restart(): Promise<void> {
  await crash();
  sidecar = stage.join({ dataDir: sidecar.dataDir, checkpointIntervalMs: NO_CHECKPOINTS });
  await sidecar.waitReady();
}

/** Puts a value of this type in the place of what the key holds. */
async function put(key: string, type: string): Promise<void> {
  await stage.redis.del(key);
  if (type === "string") await stage.redis.set(key, "x");
  else if (type === "list") await stage.redis.lpush(key, "x");
  else await stage.redis.hset(key, "x", "x");
}

test.each(["string", "list", "hash"])(
  "a %s in the place of a log stops writes of that collection only, until it is gone",
  async (type) => {
    await put(log, type);
    await expect(call("INSERT", "docs", "new", "VALUES", 2, 1, 1)).rejects.toThrow(/^WRONGTYPE/);
    expect(await insert("others", 0)).toBe(1);
    await untilObstructed(1);
    expect(await obstructed("docs")).toBe(1);
    expect(await obstructed("others")).toBe(0);
    expect(await count("docs")).toBe(10);
    expect(sidecar.stderr).toContain(`"key":"${log}","type":"${type}"`);
    // What was applied is made safe in the files, as the log has it no more.
    await until(
      () => figures("docs"),
      (docs) => docs.checkpoint_id === docs.applied_id,
    );
    await restart();
    expect(await count("docs")).toBe(10);
    expect(await insert("others", 1)).toBe(1);
    expect(await obstructed()).toBe(1);
    await stage.redis.del(log);
    expect(await insert("docs", 10)).toBe(1);
    await untilObstructed(0);
    await restart();
    expect(await count("docs")).toBe(11);
    expect(sidecar.stderr).not.toContain("not serving");
  },
);

test("a list in the place of the queries stops reads only, until it is gone", async () => {
  await put(queries, "list");
  await expect(call("CARD", "docs")).rejects.toThrow(/^WRONGTYPE/);
  expect(await insert("docs", 10)).toBe(1);
  await restart();
  expect(await insert("docs", 11)).toBe(1);
  await expect(call("CARD", "docs")).rejects.toThrow(/^WRONGTYPE/);
  await stage.redis.del(queries);
  expect(await count("docs")).toBe(12);
  await untilObstructed(0);
  expect(sidecar.stderr).not.toContain("not serving");
});

test("a list in the place of control stops CREATE, DROP and LIST only, until it is gone", async () => {
  await put("vstore:control", "list");
  await expect(call("LIST")).rejects.toThrow(/^WRONGTYPE/);
  expect(await insert("docs", 10)).toBe(1);
  await restart();
  expect(await count("docs")).toBe(11);
  await stage.redis.del("vstore:control");
  expect(await call("LIST")).toEqual(["docs", "others"]);
  expect(await call("CREATE", "more", "DIM", 2)).toBe("OK");
  await untilObstructed(0);
  expect(sidecar.stderr).not.toContain("not serving");
});

test("a list in the place of the errors is left alone, and the refusal is logged", async () => {
  const errors = "vstore:{docs}:errors";
  await put(errors, "list");
  await stage.redis.multi().call("VSTORE.INSERT", "docs", "bad", "VALUES", "3", "1", "2", "3").exec();
  await sidecar.waitLog(`"key":"${errors}"`);
  expect(await stage.redis.type(errors)).toBe("list");
  expect(await insert("docs", 10)).toBe(1);
});

test.each([
  ["vstore:collections", "list"],
  ["vstore:logs", "list"],
  ["vstore:store", "list"],
  ["vstore:follows", "list"],
  ["vstore:synced", "list"],
  ["vstore:leader", "list"],
  ["vstore:epoch", "list"],
  ["vstore:epoch", "string"],
])(
  "%s that is a %s stops the service, which says what to do and goes on when it is gone",
  async (key, type) => {
    await crash();
    await put(key, type);
    sidecar = stage.join({ dataDir: sidecar.dataDir });
    await sidecar.waitLog(`${key} should be a`);
    await until(
      () => stage.redis.call("VSTORE.CARD", "docs").catch(String),
      (answer) => String(answer).includes("VSTOREDOWN"),
    );
    await stage.redis.del(key);
    await sidecar.waitReady();
    expect(await count("docs")).toBe(10);
    expect(await insert("docs", 10)).toBe(1);
  },
);

test("a value in the place of the lease's record keeps no client from being served", async () => {
  await put("vstore:leader", "list");
  await sleep(2_500);
  expect(await count("docs")).toBe(10);
  expect(await insert("docs", 10)).toBe(1);
  expect(sidecar.stderr).not.toContain("not serving");
});

test("a text in the place of the record keeps no client waiting", async () => {
  await crash();
  await put("vstore:leader", "string");
  sidecar = stage.join({ dataDir: sidecar.dataDir });
  await sidecar.waitReady();
  expect(await count("docs")).toBe(10);
});

test("a log that was renamed away while no sidecar served loses nothing when it is put back", async () => {
  await crash();
  await stage.redis.rename(log, "elsewhere");
  await stage.redis.set(log, "x");
  sidecar = stage.join({ dataDir: sidecar.dataDir, checkpointIntervalMs: NO_CHECKPOINTS });
  await sidecar.waitReady();
  expect(await count("docs")).toBe(0); // nothing was checkpointed: all of it is in the log
  await stage.redis.rename("elsewhere", log);
  expect(
    await until(
      () => count("docs"),
      (found) => found === 10,
    ),
  ).toBe(10);
  await insert("docs", 10);
  await restart();
  expect(await count("docs")).toBe(11);
});

test("a collection is created though its log's name is taken, and takes writes once it is not", async () => {
  await stage.redis.set("vstore:{new}:log", "x");
  expect(await call("CREATE", "new", "DIM", 2)).toBe("OK");
  await expect(call("INSERT", "new", "k", "VALUES", 2, 1, 1)).rejects.toThrow(/^WRONGTYPE/);
  expect(await count("new")).toBe(0);
  await stage.redis.del("vstore:{new}:log");
  expect(await insert("new", 0)).toBe(1);
});

test("DROP takes what obstructs the log with it", async () => {
  await stage.redis.set(log, "x");
  expect(await call("DROP", "docs")).toBe("OK");
  expect(await stage.redis.exists(log)).toBe(0);
  expect(await call("CREATE", "docs", "DIM", 2)).toBe("OK");
  expect(await insert("docs", 0)).toBe(1);
});
