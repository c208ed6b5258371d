/**
 * Ids name, clocks decide: a client that may append to one collection's log can choose an id and a time there. Neither
 * may reach another collection, nor decide what expires when.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { served, until } from "../harness/serving.ts";
import { eachTestOnStage, NO_CHECKPOINTS } from "../harness/stage.ts";

const stage = eachTestOnStage();
const log = "vstore:{mine}:log";
/** An id in microseconds where milliseconds are meant: the year 58,000. */
const farId = () => `${Date.now() * 1_000}-0`;
const YEAR_MS = 365 * 24 * 3_600_000;
const LARGEST_ID = "18446744073709551615-18446744073709551615";

const call = (name: string, ...args: (string | number | Buffer)[]) => stage.redis.call(name, ...args);
const insert = (collection: string, key: string, ...options: (string | number)[]) =>
  call("VSTORE.INSERT", collection, key, "FP32", fp32(1, 2), ...options);
const entryOf = (key: string) => ["0", "mine", "1", key, "2", "FP32", "3", fp32(1, 2)];

async function start(): Promise<SidecarProcess> {
  const sidecar = stage.join({ checkpointIntervalMs: NO_CHECKPOINTS });
  await sidecar.waitReady();
  for (const name of ["mine", "other"]) await call("VSTORE.CREATE", name, "DIM", 2, "METRIC", "L2");
  await insert("other", "k", "EX", 3_600);
  return sidecar;
}

const errors = () =>
  until(
    () => stage.redis.xrange("vstore:{mine}:errors", "-", "+"),
    (all) => all.length > 0,
  );

/** With keys that live for an hour, and new ones for half a second. */
async function expectTimeGoesOn(collection: string): Promise<void> {
  await insert(collection, "lives", "EX", 3_600);
  await insert(collection, "dies", "PX", 500);
  expect(await call("VSTORE.TTL", collection, "lives")).toBeGreaterThan(3_590);
  await until(
    () => call("VSTORE.EXISTS", collection, "lives", "dies"),
    (count) => count === 1,
  );
  await until(
    async () => String(await call("VSTORE.INFO", collection)),
    (info) => /expired,0,/.test(info),
  );
  expect(await call("VSTORE.EXISTS", collection, "lives")).toBe(1);
}

async function expectUnharmed(): Promise<void> {
  for (const collection of ["other", "mine"]) await expectTimeGoesOn(collection);
  expect(await insert("other", "k", "XX")).toBe(0);
  expect(await call("VSTORE.TTL", "other", "lives")).toBeGreaterThan(3_590);
}

test("an id far ahead is refused, says why, and moves neither the time nor another collection", async () => {
  const sidecar = await start();
  await stage.redis.xadd(log, farId(), "cmd", "INSERT", ...entryOf("far"));
  const [[, fields]] = (await errors()) as [[string, string[]]];
  expect(fields!.at(-1)).toMatch(/^TRYAGAIN the id \d+-0 is \d+ ms ahead of the sidecar's clock/);
  expect(await call("VSTORE.EXISTS", "mine", "far")).toBe(0);
  await expectUnharmed();
  const [last] = (await stage.redis.xrevrange(log, "+", "-", "COUNT", 1))[0]!;
  expect(Number(last.split("-")[0])).toBeLessThan(Date.now() + 60_000);
  await sidecar.kill();
  await stage.join({ dataDir: sidecar.dataDir }).waitReady();
  expect(await served(stage.redis, "VSTORE.EXISTS", "mine", "far", "lives")).toBe(1);
  await expectUnharmed();
});

test("after the largest id of all the log takes entries again", async () => {
  await start();
  await stage.redis.xadd(log, LARGEST_ID, "cmd", "INSERT", ...entryOf("far"));
  await errors();
  await until(
    () => insert("mine", "next").catch(String),
    (answer) => answer === 1,
  );
  await expectUnharmed();
});

test("a time far ahead is refused whatever the id", async () => {
  await start();
  const at = Date.now() + YEAR_MS;
  await stage.redis.xadd(log, "*", "cmd", "INSERT", "at", at, ...entryOf("far"));
  await stage.redis.xadd(log, "*", "cmd", "SWEEP", "at", Date.now() + 3_000_000, "0", "mine");
  await errors();
  await expectUnharmed();
  expect(await call("VSTORE.EXISTS", "mine", "far")).toBe(0);
});

test("a log whose ids are a year ahead, as a wrong clock has left them, lives by the right time", async () => {
  const sidecar = await start();
  await stage.redis.xsetid(log, `${Date.now() + YEAR_MS}-0`);
  await expectUnharmed();
  expect(await insert("mine", "queued")).toBe(1);
  await sidecar.kill();
  await stage.join({ dataDir: sidecar.dataDir }).waitReady();
  expect(await served(stage.redis, "VSTORE.EXISTS", "mine", "queued", "lives")).toBe(2);
  await expectUnharmed();
});

test("a read sees the writes that were sent before it, also where the log's ids are far ahead", async () => {
  await start();
  await stage.redis.xsetid(log, `${Date.now() + YEAR_MS}-0`);
  for (let round = 0; round < 3; round++) {
    const transaction = stage.redis.multi();
    for (let i = 0; i < 3_000; i++)
      transaction.call("VSTORE.INSERT", "mine", `${round}:${i}`, "FP32", fp32(i, 1));
    const written = transaction.exec();
    await sleep(1);
    const [card] = await Promise.all([written.then(() => call("VSTORE.CARD", "mine")), written]);
    expect(card).toBe(3_000 * (round + 1));
  }
});

test("CREATE goes on after an id far ahead in the control stream", async () => {
  await start();
  await stage.redis.xadd("vstore:control", farId(), "cmd", "CREATE", "0", "far", "1", "DIM", "2", "2");
  await until(
    () => stage.redis.xlen("vstore:control"),
    (length) => length === 0,
  );
  await call("VSTORE.CREATE", "later", "DIM", 2);
  expect(await call("VSTORE.LIST")).toEqual(["later", "mine", "other"]);
  await expectTimeGoesOn("later");
});
