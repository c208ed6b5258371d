/** vstore's own Redis, left behind by a sidecar that was killed: never two servers on one directory. */
import { spawnSync } from "node:child_process";
import { renameSync } from "node:fs";
import { Redis } from "ioredis";
import { afterEach, expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { serverProgram } from "../../harness/server-program.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";

let sidecars: SidecarProcess[] = [];
let servers: number[] = [];

afterEach(async () => {
  for (const sidecar of sidecars) await sidecar.kill();
  for (const pid of servers.filter(isAlive)) process.kill(pid, "SIGKILL");
  [sidecars, servers] = [[], []];
});

function launch(port: number, dataDir: string): SidecarProcess {
  const args = ["--port", String(port), "--redis-server", serverProgram];
  const sidecar = startSidecar({ dataDir, args });
  sidecars.push(sidecar);
  return sidecar;
}

async function start(port: number, dataDir: string): Promise<SidecarProcess> {
  const sidecar = launch(port, dataDir);
  await sidecar.waitReady();
  const info = await ask(port, (redis) => redis.info("server"));
  servers.push(Number(/process_id:(\d+)/.exec(info)![1]));
  return sidecar;
}

async function ask<T>(port: number, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ port, host: "127.0.0.1", protocol: 2 });
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

/** A zombie, which only its parent can end, serves no client any more. */
const isAlive = (pid: number): boolean => {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim() !== "" && !stdout.startsWith("Z");
};

/** A directory with three vectors whose sidecar was killed and whose Redis still runs on that port. */
async function orphan(dataDir: string): Promise<number> {
  const port = await freePort();
  const sidecar = await start(port, dataDir);
  await ask(port, async (redis) => {
    await redis.call("VSTORE.CREATE", "c", "DIM", 2);
    for (const key of ["a", "b", "c"]) await redis.call("VSTORE.INSERT", "c", key, "VALUES", 2, 1, 0);
  });
  await sidecar.kill();
  return port;
}

const count = (port: number) => ask(port, (redis) => redis.call("VSTORE.CARD", "c"));

test("started on another port, it stops the old server, has its data, and is alone", async () => {
  const dataDir = temporaryDirectory();
  await orphan(dataDir);
  const port = await freePort();
  const second = await start(port, dataDir);
  expect(await count(port)).toBe(3);
  expect(servers.filter(isAlive)).toEqual([servers[1]]);
  await second.stop();
  expect(servers.filter(isAlive)).toEqual([]);
  const third = await start(port, dataDir);
  expect(await count(port)).toBe(3);
  await third.stop();
});

test("the same when the directory was moved meanwhile; on the old port it goes on with the old server", async () => {
  const parent = temporaryDirectory();
  const oldPort = await orphan(`${parent}/old`);
  renameSync(`${parent}/old`, `${parent}/new`);
  const port = await freePort();
  await (await start(port, `${parent}/new`)).kill();
  expect(servers.filter(isAlive)).toEqual([servers[1]]);
  renameSync(`${parent}/new`, `${parent}/newer`);
  await start(port, `${parent}/newer`);
  expect(servers[2]).toBe(servers[1]);
  expect(await count(port)).toBe(3);
  expect(oldPort).not.toBe(port);
});

test("an old server that does not answer keeps it from starting, and the reason is one sentence", async () => {
  const dataDir = temporaryDirectory();
  await orphan(dataDir);
  process.kill(servers[0]!, "SIGSTOP");
  const second = launch(await freePort(), dataDir);
  expect(await second.exit()).toBe(1);
  expect(second.stderr.trimEnd().split("\n")).toEqual([
    `vstore: a Redis (process ${servers[0]}) that an earlier run left behind still writes to ${dataDir}/redis; stop it, then start again`,
  ]);
});
