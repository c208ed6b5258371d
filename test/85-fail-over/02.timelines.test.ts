/** Tokens from before a Redis that has lost the end of its logs: no read answers as if it had what they name. */
import { rmSync } from "node:fs";
import { expect, test } from "vitest";
import type { SidecarProcess } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { served } from "../harness/serving.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage();

const call = (command: string, ...args: (string | number | Buffer)[]) =>
  served(stage.redis, `VSTORE.${command}`, ...args);
const insert = (key: string) => call("INSERT", "c", key, "FP32", fp32(1, 2));
const exists = (key: string, token: unknown) =>
  stage.redis.call("VSTORE.EXISTS", "c", key, "ASOF", String(token));
const lost = /^ERR the token of 'ASOF' names .* from before a fail-over/;

async function serve(dataDir?: string): Promise<SidecarProcess> {
  const sidecar = stage.join(dataDir === undefined ? {} : { dataDir });
  await sidecar.waitReady();
  return sidecar;
}

/** A log with an entry that is saved and a later one that is not, and a token from behind each. */
async function fill(): Promise<{ kept: unknown; later: unknown }> {
  await call("CREATE", "c", "DIM", 2);
  await insert("a");
  const kept = await call("TOKEN", "c");
  await stage.redis.save();
  await insert("b");
  return { kept, later: await call("TOKEN", "c") };
}

async function crashRedis(): Promise<void> {
  await stage.server.kill();
  await stage.server.restart();
}

test("what the log has lost and the files do not have is refused; what is kept is read", async () => {
  const sidecar = await serve();
  const { kept, later } = await fill();
  await sidecar.kill();
  await crashRedis();
  const next = await serve(sidecar.dataDir);
  expect(await exists("a", kept)).toBe(1);
  await expect(exists("b", later)).rejects.toThrow(lost);
  await insert("c"); // with an id behind that of the lost entry
  await expect(exists("b", later)).rejects.toThrow(lost);
  const now = await call("TOKEN", "c");
  expect(await exists("c", now)).toBe(1);
  await next.kill();
  await serve(sidecar.dataDir); // the same Redis: the same timeline
  await expect(exists("b", later)).rejects.toThrow(lost);
  expect(await exists("a", kept)).toBe(1);
  expect(await exists("c", now)).toBe(1);
});

test("what the log has lost and the files have is read, over several crashes of Redis", async () => {
  const sidecar = await serve();
  const { kept, later } = await fill();
  for (let round = 1; round <= 3; round++) {
    await crashRedis();
    await insert(`after ${round}`);
    expect(await exists("b", later)).toBe(1);
    expect(await exists("a", kept)).toBe(1);
  }
  const tokens = [];
  for (let round = 1; round <= 3; round++) {
    await insert(`saved ${round}`);
    tokens.push(await call("TOKEN", "c"));
    await stage.redis.save();
    await crashRedis();
  }
  await call("CARD", "c");
  for (const [at, token] of tokens.entries()) expect(await exists(`saved ${at + 1}`, token)).toBe(1);
  await sidecar.kill();
});

test("a token that nobody knows the timeline of is refused", async () => {
  const sidecar = await serve();
  const { kept } = await fill();
  await sidecar.kill();
  await stage.redis.del("vstore:timelines");
  await serve(sidecar.dataDir);
  await expect(exists("a", kept)).rejects.toThrow(lost);
});

test("a follower that knows less than its leader did refuses what it lacks", async () => {
  const leader = await serve();
  const { kept, later } = await fill();
  await leader.kill();
  rmSync(leader.dataDir, { recursive: true });
  await crashRedis();
  const follower = stage.join({ env: { VSTORE_ROLE: "auto" } });
  await follower.waitReady();
  expect(await exists("a", kept)).toBe(1);
  await insert("c");
  await expect(exists("b", later)).rejects.toThrow(lost);
});
