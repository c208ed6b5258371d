/** Every version of Node that package.json admits: the program and the library run on it. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { describe, expect, test } from "vitest";
import { freePort } from "../../harness/free-port.ts";
import { serverProgram } from "../../harness/server-program.ts";
import { startSidecar } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const run = promisify(execFile);
const library = new URL("../../dist/index.js", import.meta.url).href;

/** Those of scripts/ensure-nodes.sh, as far as it could have them, and this one. */
const programs = [20, 22, 24]
  .map((major) =>
    fileURLToPath(new URL(`../../.cache/nodes/node_modules/node${major}/bin/node`, import.meta.url)),
  )
  .filter(existsSync);
if (programs.length === 0) programs.push(process.execPath);

/** A store of its own in each of three threads at once, and again in the first. */
const THREADS = `
  const { Worker, isMainThread, workerData } = require("node:worker_threads");
  const use = async (directory) => {
    const { MmapVectorStore } = await import("${library}");
    const store = await MmapVectorStore.open(directory, { dimensions: 2 });
    store.insert("a", new Float32Array([1, 0]));
    store.insert("b", new Float32Array([0, 1]));
    const [{ key }] = await store.search(new Float32Array([1, 0.1]), { k: 1 });
    await store.close();
    if (key !== "a") throw new Error("found " + key);
  };
  const place = process.argv[1] ?? workerData?.place;
  (async () => {
    if (!isMainThread) return use(workerData.directory);
    await use(place + "/0");
    const worker = (name) => new Promise((resolve, reject) => {
      const thread = new Worker(process.env.SOURCE, { eval: true, workerData: { directory: place + "/" + name } });
      thread.once("error", reject).once("exit", resolve);
    });
    await Promise.all([worker(1), worker(2)]);
    await worker(3);
    await use(place + "/0");
    console.log("all found");
  })();
`;

describe.each(programs)("%s", (node) => {
  test("runs the library in the main thread and in several workers", async () => {
    const env = { ...process.env, SOURCE: THREADS };
    const { stdout } = await run(node, ["-e", THREADS, temporaryDirectory()], { env });
    expect(stdout).toBe("all found\n");
  });

  test("serves with a Redis of its own, keeps what it was given, and stops in order", async () => {
    const port = await freePort();
    const dataDir = temporaryDirectory();
    const args = ["--port", String(port), "--redis-server", serverProgram];
    for (const [start, cards] of [0, 1].entries()) {
      const sidecar = startSidecar({ dataDir, args, node });
      await sidecar.waitReady();
      const redis = new Redis({ port, host: "127.0.0.1", protocol: 2 });
      await redis.call("VSTORE.CREATE", "c", "DIM", 2, "NX");
      expect(await redis.call("VSTORE.CARD", "c")).toBe(cards);
      if (start === 0) await redis.call("VSTORE.INSERT", "c", "a", "VALUES", 2, 1, 0);
      expect(await redis.call("VSTORE.SEARCH", "c", "VALUES", 2, 1, 0)).toEqual(["a"]);
      redis.disconnect();
      await sidecar.stop();
    }
  });
});
