/** A test process that is killed leaves no process and no directory behind. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { sweep } from "../../harness/left-behind.ts";
import { startRedis } from "../../harness/redis-server.ts";
import { until } from "../harness/serving.ts";

const harness = fileURLToPath(new URL("../../harness", import.meta.url));
/** What a test file does: a Redis, a sidecar of it, and a sidecar with a Redis of its own. */
const program = `
  import { startVstore, startSidecar } from "${harness}/sidecar.ts";
  import { serverProgram } from "${harness}/server-program.ts";
  import { Redis } from "ioredis";
  const port = Number(process.argv[2]);
  const vstore = await startVstore();
  const own = startSidecar({ args: ["--port", String(port), "--redis-server", serverProgram] });
  await own.waitReady();
  const redis = new Redis({ port, host: "127.0.0.1", protocol: 2 });
  const server = Number(/process_id:(\\d+)/.exec(await redis.info("server"))[1]);
  const pids = [vstore.redis.pid, vstore.sidecar.pid, own.pid];
  const directories = [vstore.redis.directory, vstore.sidecar.dataDir, own.dataDir];
  console.log(JSON.stringify({ pids, server, directories }));
`;

/** A zombie, which only its parent can end, serves no client any more. */
const isGone = (pid: number): boolean => {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim() === "" || stdout.startsWith("Z");
};

test("SIGKILL ends its servers with it, and the sweep ends what a sidecar had started", async () => {
  const args = ["--import", "tsx", "--input-type=module", "-e", program, "x", String(await freePort())];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout! });
  const [line] = (await Promise.race([once(lines, "line"), once(lines, "close")])) as [string | undefined];
  if (line === undefined) throw new Error("the process has ended by itself");
  const { pids, server, directories } = JSON.parse(line) as {
    pids: number[];
    server: number;
    directories: string[];
  };
  expect([...pids, server].some(isGone)).toBe(false);
  child.kill("SIGKILL");
  await once(child, "exit");
  await until(
    () => pids.every(isGone),
    (gone) => gone,
  );
  expect(isGone(server), "it has a process group of its own").toBe(false);
  sweep();
  await until(
    () => isGone(server),
    (gone) => gone,
  );
  expect(directories.filter(existsSync)).toEqual([]);
}, 60_000);

test("a port that another server has taken meanwhile is not taken for its own", async () => {
  const other = await startRedis({ module: false });
  try {
    const started = startRedis({ module: false, port: other.port });
    await expect(started).rejects.toThrow("Address already in use");
  } finally {
    await other.stop();
  }
});
