/** What a person sees who starts vstore for the first time: what it loads, what it prints, what it ignores. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { serverProgram } from "../../harness/server-program.ts";
import { type SidecarProcess, startSidecar } from "../../harness/sidecar.ts";
import { plainLine } from "../../src/log.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
let server: RedisServer | undefined;
let sidecars: SidecarProcess[] = [];
let dataDir: string;

beforeEach(() => {
  dataDir = temporaryDirectory();
});

afterEach(async () => {
  for (const sidecar of sidecars) await sidecar.kill();
  await server?.stop();
  [server, sidecars] = [undefined, []];
});

async function serving(redisUrl: string, args: string[] = [], env: Record<string, string> = {}) {
  const sidecar = startSidecar({ redisUrl, args, env, dataDir });
  sidecars.push(sidecar);
  await sidecar.waitReady();
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

test("`make run` puts the sample into a Redis of its own only, unless it is asked to", () => {
  const command = (...settings: string[]) =>
    spawnSync("make", ["-n", "run", ...settings], { cwd: root, encoding: "utf8" }).stdout;
  expect(command()).toContain("serve --sample");
  expect(command("VSTORE_REDIS_URL=redis://127.0.0.1:1")).not.toContain("--sample");
  expect(command("VSTORE_REDIS_URL=redis://127.0.0.1:1", "SAMPLE=1")).toContain("serve --sample");
});

test("the sample is loaded once, also when words were added and deleted since", async () => {
  server = await startRedis();
  const { port, url } = server;
  const first = await serving(url, ["--sample"]);
  expect(first.stderr).toContain("loading words 10000/10000");
  const vector = await ask(port, (redis) => redis.callBuffer("VSTORE.GET", "words", "king", "RAW"));
  await ask(port, (redis) => redis.call("VSTORE.INSERT", "words", "my-king", "FP32", vector as Buffer));
  await ask(port, (redis) => redis.call("VSTORE.DEL", "words", "king", "queen"));
  await first.stop();
  const second = await serving(url, ["--sample"]);
  expect(second.stderr).not.toContain("loading words");
  expect(await ask(port, (redis) => redis.call("VSTORE.CARD", "words"))).toBe(9_999);
});

test("a collection 'words' of the user's own stays as it is", async () => {
  server = await startRedis();
  const { port, url } = server;
  const first = await serving(url);
  await ask(port, (redis) => redis.call("VSTORE.CREATE", "words", "DIM", 2));
  await ask(port, (redis) => redis.call("VSTORE.INSERT", "words", "a", "VALUES", 2, 1, 0));
  await first.stop();
  const second = await serving(url, ["--sample"]);
  await second.waitLog("is your own");
  expect(second.stdout).not.toContain("my-king");
  expect(await ask(port, (redis) => redis.call("VSTORE.CARD", "words"))).toBe(1);
});

test("the log is JSON, and what libraries say stands in it once", async () => {
  server = await startRedis({ args: ["--maxmemory-policy", "volatile-lru"] });
  const sidecar = await serving(server.url.replace("//", "//:secret@"));
  await sidecar.stop();
  const lines = sidecar.stderr.trimEnd().split("\n");
  const messages = lines.map((line) => JSON.parse(line).msg as string);
  expect(messages.filter((text) => text.includes("Eviction policy is volatile-lru"))).toHaveLength(1);
  expect(messages.filter((text) => text.includes("does not require a password"))).toHaveLength(1);
  expect(messages.at(-1)).toBe("stopped; everything is saved");
});

test("variables of a Kubernetes service called vstore are ignored, and that is said once", async () => {
  server = await startRedis();
  const env = { VSTORE_SERVICE_HOST: "10.0.0.1", VSTORE_PORT: "tcp://10.0.0.1:6379" };
  const sidecar = await serving(server.url, [], env);
  expect(sidecar.stderr.match(/ignored variables of a Kubernetes service/g)).toHaveLength(1);
});

test("docker-compose's health check tells whether a sidecar is attached", async () => {
  server = await startRedis();
  const [, check] = /^ +- (exec 3<>.*)$/m.exec(readFileSync(`${root}/docker-compose.yml`, "utf8"))!;
  const here = check!.replace("redis/6379", `127.0.0.1/${server.port}`);
  const status = () => spawnSync("timeout", ["10", "bash", "-c", here]).status;
  expect(status()).toBe(1);
  await serving(server.url);
  expect(status()).toBe(0);
});

test("a person at a terminal gets plain lines", async () => {
  const port = await freePort();
  const program = ["dist/cli.js", "serve", "--port", String(port), "--redis-server", serverProgram];
  const command = [process.execPath, ...program, "--data-dir", temporaryDirectory()].join(" ");
  // `script` gives it a terminal, which `timeout` interrupts as Ctrl-C would.
  const args = ["-s", "INT", "10", "script", "-qec", command, "/dev/null"];
  const { stdout } = spawnSync("timeout", ["--foreground", ...args], { cwd: root, encoding: "utf8" });
  expect(stdout).toMatch(/^\d\d:\d\d:\d\d info {2}serving redis:\/\/127.0.0.1/m);
  expect(stdout).not.toContain('{"level"');
});

test("a plain line has the time, the level, the text, and what belongs to it", () => {
  const line = plainLine('{"level":40,"time":0,"msg":"not serving","queue":"a b","n":3}');
  expect(line).toMatch(/\d\d:00:00 warn {2}not serving queue=a b n=3/);
  const error = plainLine('{"level":50,"time":0,"msg":"bad","err":{"stack":"Error: x\\n at y"}}');
  expect(error).toContain("bad\nError: x\n at y");
});
