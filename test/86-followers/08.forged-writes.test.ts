/** A follower applies of a cache's log what the module has written, and what another client has forged never. */
import type { Redis } from "ioredis";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { Catalog } from "../../src/engine/catalog.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const log = "vstore:{c}:log";
const stage = eachTestOnStage({ appendonly: "always" });
let redis: Redis;

beforeEach(() => {
  redis = connectClient(stage.server.url);
});
afterEach(() => redis.disconnect());

const set = (id: string, ...vector: number[]) =>
  redis.call("VSTORE.CACHE.SET", "c", "FP32", fp32(...vector), "VALUE", `value of ${id}`, "ID", id);

/** Resolves when a follower has made the whole log durable. */
async function untilDurable(): Promise<void> {
  const end = String(((await redis.call("VSTORE.WAIT", "c")) as unknown[])[0]);
  const durable = async () => {
    const ids = Object.keys(await redis.hgetall("vstore:followers"));
    return Promise.all(ids.map((id) => redis.hget(`vstore:follower:${id}`, "c")));
  };
  await until(durable, (all) => all.length > 0 && all.every((each) => each === end));
}

/** The fields of an entry as a client can read and append them again. */
async function fieldsOf(command: string): Promise<Buffer[]> {
  const all = (await redis.xrangeBuffer(log, "-", "+")) as [Buffer, Buffer[]][];
  return all.map(([, fields]) => fields).find((fields) => String(fields[1]) === command)!;
}

test("what is forged while the leader serves reaches no follower", async () => {
  const leader = stage.join();
  await leader.waitReady();
  await redis.call("VSTORE.CACHE.CREATE", "c", "DIM", 2);
  await set("e", 1, 0);
  await set("n", 0, 1);
  const follower = stage.join({ checkpointIntervalMs: 1_000, env: { VSTORE_ROLE: "follower" } });
  await untilDurable();
  const copy = await fieldsOf("CACHE.SET");
  for (let i = 0; i < 20; i++) {
    await redis.xadd(log, "*", "cmd", "CACHE.DEL", "0", "c", "1", "ID", "2", "e");
    // The very words of a real entry, and its key for another one.
    await redis.xadd(log, "*", ...copy.map((word) => (String(word) === "{c}:e" ? "{c}:forged" : word)));
    await set(`real ${i}`, 1, i);
  }
  await until(
    () => redis.xlen("vstore:{c}:errors"),
    (length) => length >= 20,
  );
  await set("last", 1, -1);
  await untilDurable();
  const wanted = ["e", "last", "n", ...Array.from({ length: 20 }, (_, i) => `real ${i}`)].sort();
  expect((await redis.keys("{c}:*")).sort()).toEqual(wanted.map((id) => `{c}:${id}`));
  await follower.stop();
  const catalog = await Catalog.open(follower.dataDir);
  onTestFinished(() => catalog.close());
  const { keys } = catalog.get("c").scan(0, 1_000);
  expect(keys.map((key) => Buffer.from(key).toString()).sort()).toEqual(wanted.map((id) => `{c}:${id}`));
});
