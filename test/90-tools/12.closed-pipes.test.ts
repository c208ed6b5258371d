/** The reader of the program's output leaves early, as `head` does: no command ends in a stack trace. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { filledDirectory } from "../harness/data-directory.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { connectClient, served } from "../harness/serving.ts";

const program = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

let vstore: Vstore;
let redis: ReturnType<typeof connectClient>;

beforeAll(async () => {
  vstore = await startVstore();
  redis = connectClient(vstore.url);
  await redis.call("VSTORE.CREATE", "docs", "DIM", 4, "METRIC", "L2");
  const keys = Array.from({ length: 1_000 }, (_, i) => `k${i}`);
  const vectors = Buffer.from(Float32Array.from({ length: 4_000 }, (_, i) => i).buffer);
  await redis.call("VSTORE.MINSERT", "docs", keys.length, ...keys, "FP32", vectors);
});

afterAll(async () => {
  redis?.disconnect();
  await vstore?.stop();
});

/** Starts the program with pipes whose other ends are closed before it can print. */
function runUnread(args: string[], closed: readonly ("stdout" | "stderr")[]): ChildProcess {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  for (const name of closed) child[name]!.destroy();
  return child;
}

async function outcome(args: string[]): Promise<{ code: number | null; stderr: string }> {
  const child = runUnread(args, ["stdout"]);
  let stderr = "";
  child.stderr!.on("data", (data: Buffer) => {
    stderr += data;
  });
  const [code] = await once(child, "close");
  return { code, stderr };
}

test("help, version and reports end with their own exit codes, and say nothing of the pipe", async () => {
  const directory = await filledDirectory();
  for (const args of [
    ["--help"],
    ["--version"],
    ["serve", "--help"],
    ["inspect", directory],
    ["verify", directory],
    ["module", "--print-path"],
  ])
    expect(await outcome(args), args.join(" ")).toEqual({ code: 0, stderr: "" });
  fs.truncateSync(`${directory}/c-small/MANIFEST.json`, 10);
  expect(await outcome(["verify", directory])).toEqual({ code: 1, stderr: "" });
  expect((await outcome(["doctor", "--redis-url", vstore.url])).stderr).not.toMatch(/EPIPE|at /);
});

test("an export ends at once, and an import is done all the same", async () => {
  const exporting = ["export", "docs", "-", "--format", "csv", "--redis-url", vstore.url];
  expect(await outcome(exporting)).toEqual({ code: 141, stderr: "" });
  const file = `${temporaryDirectory()}/rows.jsonl`;
  fs.writeFileSync(file, '{"key":"imported","vector":[1,2,3,4]}');
  const importing = runUnread(["import", "docs", file, "--redis-url", vstore.url], ["stdout", "stderr"]);
  expect(await once(importing, "close")).toEqual([0, null]);
  expect(await redis.call("VSTORE.EXISTS", "docs", "imported")).toBe(1);
});

test("a sidecar whose log and output are read no more serves on, and stops in order", async () => {
  const { redis: server, sidecar } = await startVstore({}, { dataDir: temporaryDirectory() });
  const client = connectClient(server.url);
  try {
    await client.call("VSTORE.CREATE", "c", "DIM", 1);
    await sidecar.stop();
    const args = ["serve", "--redis-url", server.url, "--data-dir", sidecar.dataDir, "--log-level", "debug"];
    const unread = runUnread(args, ["stdout", "stderr"]);
    expect(await served(client, "VSTORE.CARD", "c")).toBe(0);
    unread.kill("SIGTERM");
    expect(await once(unread, "exit")).toEqual([0, null]);
  } finally {
    client.disconnect();
    await server.stop();
  }
});
