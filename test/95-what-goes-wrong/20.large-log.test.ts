/** A log that has grown, while no sidecar was there, far beyond what Redis lets one client have at a time. */
import type { Redis } from "ioredis";
import { expect, test } from "vitest";
import { examineRedis } from "../../src/bridge/client/examine.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { fp32Of } from "../harness/fp32.ts";
import { served, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const DIMENSIONS = 1_024;
/** 4 MiB of vectors. */
const KEYS = 1_024;
const ENTRIES = 14;
/** Bytes of one answer at which Redis closes the connection: a few entries. */
const OUTPUT_LIMIT = "normal 16mb 16mb 0";

const stage = eachTestOnStage();

test("it is read in parts that Redis lets through, and every write is applied", async () => {
  const dataDir = temporaryDirectory();
  const first = stage.join({ dataDir });
  await served(stage.redis, "VSTORE.CREATE", "c", "DIM", DIMENSIONS, "METRIC", "L2");
  await first.stop();
  await stage.redis.config("SET", "client-output-buffer-limit", OUTPUT_LIMIT);
  const vectors = fp32Of(new Float32Array(KEYS * DIMENSIONS).fill(1));
  for (let entry = 0; entry < ENTRIES; entry++) {
    const keys = Array.from({ length: KEYS }, (_, i) => `${entry}:${i}`);
    await stage.redis
      .multi()
      .call("VSTORE.MINSERT", "c", KEYS, ...keys, "FP32", vectors)
      .exec();
  }
  const second = stage.join({ dataDir });
  await second.waitReady();
  const card = () => served(stage.redis, "VSTORE.CARD", "c");
  expect(await until(card, (count) => count === ENTRIES * KEYS)).toBe(ENTRIES * KEYS);
});

test("so are many logs that each have one large entry", async () => {
  const dataDir = temporaryDirectory();
  const first = stage.join({ dataDir });
  const names = Array.from({ length: ENTRIES / 2 }, (_, i) => `c${i}`);
  for (const name of names)
    await served(stage.redis, "VSTORE.CREATE", name, "DIM", DIMENSIONS, "METRIC", "L2");
  await first.stop();
  await stage.redis.config("SET", "client-output-buffer-limit", OUTPUT_LIMIT);
  const vectors = fp32Of(new Float32Array(KEYS * DIMENSIONS).fill(1));
  const keys = Array.from({ length: KEYS }, (_, i) => `${i}`);
  for (const name of names) {
    const insert = stage.redis.multi().call("VSTORE.MINSERT", name, KEYS, ...keys, "FP32", vectors);
    await insert.exec();
  }
  const second = stage.join({ dataDir });
  await second.waitReady();
  for (const name of names) expect(await served(stage.redis, "VSTORE.CARD", name)).toBe(KEYS);
});

test("large entries that follow many small ones come without the loss of a connection", async () => {
  const dataDir = temporaryDirectory();
  const first = stage.join({ dataDir });
  await served(stage.redis, "VSTORE.CREATE", "c", "DIM", DIMENSIONS, "METRIC", "L2");
  await first.stop();
  await stage.redis.config("SET", "client-output-buffer-limit", OUTPUT_LIMIT);
  const vectors = fp32Of(new Float32Array(KEYS * DIMENSIONS).fill(1));
  const small = fp32Of(new Float32Array(DIMENSIONS).fill(1));
  const many = stage.redis.multi();
  for (let i = 0; i < 1_000; i++) many.call("VSTORE.INSERT", "c", `s${i}`, "FP32", small);
  await many.exec();
  for (let entry = 0; entry < ENTRIES; entry++) {
    const keys = Array.from({ length: KEYS }, (_, i) => `${entry}:${i}`);
    await stage.redis
      .multi()
      .call("VSTORE.MINSERT", "c", KEYS, ...keys, "FP32", vectors)
      .exec();
  }
  const second = stage.join({ dataDir });
  await second.waitReady();
  const card = () => served(stage.redis, "VSTORE.CARD", "c");
  expect(await until(card, (count) => count === 1_000 + ENTRIES * KEYS)).toBe(1_000 + ENTRIES * KEYS);
  expect(await closedConnections(stage.redis)).toBe(0);
  expect(second.stderr).not.toContain("Redis has closed a connection");
});

test("a connection that Redis closes while it goes on is counted and told", async () => {
  const sidecar = stage.join();
  await served(stage.redis, "VSTORE.CREATE", "c", "DIM", 2);
  expect(await closedConnections(stage.redis)).toBe(0);
  await stage.redis.config("SET", "client-output-buffer-limit", "normal 512kb 512kb 0");
  const vectors = fp32Of(new Float32Array(2 * KEYS).fill(1));
  const keys = Array.from({ length: KEYS }, (_, i) => `${i}`.padEnd(1_000, "k"));
  await stage.redis
    .multi()
    .call("VSTORE.MINSERT", "c", KEYS, ...keys, "FP32", vectors)
    .exec();
  await sidecar.waitLog(
    "Redis has closed a connection of this sidecar, and goes on; its client-output-buffer",
  );
  await stage.redis.config("SET", "client-output-buffer-limit", "normal 0 0 0");
  const card = () => served(stage.redis, "VSTORE.CARD", "c");
  expect(await until(card, (count) => count === KEYS)).toBe(KEYS);
  expect(await closedConnections(stage.redis)).toBeGreaterThan(0);
});

async function closedConnections(redis: Redis): Promise<number> {
  const flat = (await served(redis, "VSTORE.INFO")) as (string | number)[];
  return Number(flat[flat.indexOf("closed_connections") + 1]);
}

test("a limit that the largest entry does not pass is told by the log and by doctor", async () => {
  await stage.redis.config("SET", "client-output-buffer-limit", "normal 1mb 1mb 0");
  const said = "client-output-buffer-limit of normal clients is 1048576 bytes";
  await stage.join().waitLog(said);
  const told = async () =>
    (await examineRedis(stage.server.url)).find(({ what }) => what === "output buffer");
  expect(await told()).toMatchObject({ state: "warning", says: expect.stringContaining(said) });
  await stage.redis.config("SET", "client-output-buffer-limit", "normal 0 0 0");
  expect(await told()).toMatchObject({ state: "ok" });
});
