/** `vstore serve` without a Redis: it starts one of its own beside its files, and stops it again. */
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterEach, describe, expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { startRedis } from "../../harness/redis-server.ts";
import { serverProgram } from "../../harness/server-program.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";

let running: SidecarProcess[] = [];
let serverPids: number[] = [];

afterEach(async () => {
  for (const sidecar of running) await sidecar.kill();
  for (const pid of serverPids.filter(isAlive)) process.kill(pid, "SIGKILL");
  running = [];
  serverPids = [];
});

async function start(port: number, dataDir: string, ...args: string[]): Promise<SidecarProcess> {
  const sidecar = launch(port, dataDir, ...args);
  await ready(sidecar, port);
  return sidecar;
}

async function ready(sidecar: SidecarProcess, port: number): Promise<void> {
  await sidecar.waitReady();
  const info = await ask(port, (redis) => redis.info("server"));
  serverPids.push(Number(/process_id:(\d+)/.exec(info)![1]));
}

function launch(port: number, dataDir: string, ...args: string[]): SidecarProcess {
  const server = ["--redis-server", serverProgram];
  const sidecar = startSidecar({ dataDir, args: ["--port", String(port), ...server, ...args] });
  running.push(sidecar);
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

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function fill(port: number): Promise<void> {
  await ask(port, async (redis) => {
    await redis.call("VSTORE.CREATE", "c", "DIM", 2);
    for (let i = 0; i < 10; i++) await redis.call("VSTORE.INSERT", "c", `k${i}`, "VALUES", 2, i, 1);
  });
}

const count = (port: number) => ask(port, (redis) => redis.call("VSTORE.CARD", "c"));

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "%s ends it with exit code 0, and its Redis with it",
  async (signal) => {
    const port = await freePort();
    const sidecar = await start(port, temporaryDirectory());
    expect(sidecar.stdout).toBe(`vstore ready redis://127.0.0.1:${port}\n`);
    await sidecar.stop(signal);
    expect(serverPids.filter(isAlive)).toEqual([]);
  },
);

test("the second start has the data of the first", async () => {
  const port = await freePort();
  const dataDir = temporaryDirectory();
  const first = await start(port, dataDir);
  await fill(port);
  await first.stop();
  await start(port, dataDir);
  expect(await count(port)).toBe(10);
});

test("after kill -9 the next start takes over the Redis that was left, and stops it in the end", async () => {
  const port = await freePort();
  const dataDir = temporaryDirectory();
  const first = await start(port, dataDir);
  await fill(port);
  await first.kill();
  const second = await start(port, dataDir);
  expect(serverPids[1]).toBe(serverPids[0]);
  expect(await count(port)).toBe(10);
  await second.stop();
  expect(serverPids.filter(isAlive)).toEqual([]);
});

test("when its Redis is killed it starts another, and nothing is lost", async () => {
  const port = await freePort();
  const sidecar = await start(port, temporaryDirectory());
  await fill(port);
  process.kill(serverPids[0]!, "SIGKILL");
  await sidecar.waitLog("not serving");
  await sidecar.waitFor(() => sidecar.stderr.split('"serving ').length > 2, "serving again");
  expect(await count(port)).toBe(10);
  await sidecar.stop();
});

test("a port that another program has taken is an error that says what to do", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await sleep(50);
  const { port } = other.address() as { port: number };
  const sidecar = launch(port, temporaryDirectory());
  expect(await sidecar.exit()).toBe(1);
  expect(sidecar.stderr).toContain(`port ${port} is taken`);
  expect(sidecar.stderr).toContain("--port");
  other.close();
});

test("a port that another Redis has taken is an error too, and that Redis stays as it is", async () => {
  const redis = await startRedis();
  const sidecar = launch(redis.port, temporaryDirectory());
  expect(await sidecar.exit()).toBe(1);
  expect(sidecar.stderr).toContain(`port ${redis.port} is taken`);
  expect(await ask(redis.port, (client) => client.dbsize())).toBe(0);
  await redis.stop();
});

describe("its server", () => {
  /** A directory where the server of the tests goes by other names. */
  function programs(...names: string[]): string {
    const directory = join(temporaryDirectory(), "bin");
    mkdirSync(directory);
    const program = execFileSync("which", [serverProgram], { encoding: "utf8" }).trim();
    for (const name of names) symlinkSync(program, join(directory, name));
    return directory;
  }

  function launchFrom(path: string, port: number, ...args: string[]): SidecarProcess {
    const all = ["--port", String(port), ...args];
    const sidecar = startSidecar({ dataDir: temporaryDirectory(), args: all, env: { PATH: path } });
    running.push(sidecar);
    return sidecar;
  }

  test("is valkey-server where there is no redis-server", async () => {
    const port = await freePort();
    await ready(launchFrom(programs("valkey-server"), port), port);
  });

  test("is the one that is named, and no other", async () => {
    const port = await freePort();
    const program = join(programs("chosen"), "chosen");
    await ready(launchFrom(programs("redis-server"), port, "--redis-server", program), port);
    expect(await ask(port, (redis) => redis.info("server"))).toContain(`executable:${program}`);
  });

  test.each([
    [[], "not found: redis-server, valkey-server; install"],
    [["--redis-server", "no-such-server"], "not found: no-such-server; install"],
  ])("that is not there is an error that says what to do: %j", async (args, message) => {
    const sidecar = launchFrom(programs(), await freePort(), ...args);
    expect(await sidecar.exit()).toBe(1);
    expect(sidecar.stderr).toContain(message);
  });
});

test("files that another process has open are an error that names it", async () => {
  const dataDir = temporaryDirectory();
  const first = await start(await freePort(), dataDir);
  const second = launch(await freePort(), dataDir);
  expect(await second.exit()).toBe(1);
  expect(second.stderr).toContain(`in use by process ${first.pid}`);
});

test("the sample is loaded once, and finds the neighbours of king", async () => {
  const port = await freePort();
  const dataDir = temporaryDirectory();
  const first = await start(port, dataDir, "--sample");
  expect(first.stdout.split("\n")[0]).toBe(`vstore ready redis://127.0.0.1:${port}`);
  expect(first.stderr).toContain("loading words 10000/10000");
  const question = (redis: Redis) =>
    redis.call("VSTORE.SEARCH", "words", "KEY", "king", "COUNT", 6, "WITHDISTANCES") as Promise<string[]>;
  const found = await ask(port, question);
  const rounded = found.map((each, i) => (i % 2 === 0 ? each : Math.abs(Number(each)).toFixed(3)));
  expect(rounded).toEqual([
    "king",
    "0.000",
    "prince",
    "0.232",
    "queen",
    "0.249",
    "son",
    "0.298",
    "brother",
    "0.300",
    "monarch",
    "0.302",
  ]);
  await first.stop();
  const second = await start(port, dataDir, "--sample");
  expect(second.stderr).not.toContain("loading words");
});
