/** `vstore doctor`: it finds nothing where all is well, and says what to change where it is not. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startRedis } from "../../harness/redis-server.ts";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { temporaryDirectory } from "../harness/directory.ts";

const program = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

function doctor(...args: string[]) {
  const dataDir = ["--data-dir", `${temporaryDirectory()}/deep/data`];
  return spawnSync(process.execPath, [program, "doctor", ...dataDir, ...args], { encoding: "utf8" });
}

/** The lines about it: [state, the rest]. */
const about = (stdout: string, what: string) =>
  new RegExp(`^(ok|warning|bad) +${what} +(.*)$`, "m").exec(stdout);

let vstore: Vstore;
beforeAll(async () => {
  vstore = await startVstore({ appendonly: "everysec" });
});
afterAll(() => vstore.stop());

test("all is well beside a sidecar and a Redis with an AOF", () => {
  const { status, stdout, stderr } = doctor("--redis-url", vstore.url);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  for (const what of ["Node", "index", "module", "disk", "Redis", "sidecar", "AOF", "eviction"]) {
    expect([what, about(stdout, what)?.[1]]).toEqual([what, "ok"]);
  }
});

test("what may lose data is a warning that says what to set", async () => {
  const redis = await startRedis({ args: ["--maxmemory-policy", "allkeys-lru"] });
  const { status, stdout } = doctor("--redis-url", redis.url);
  expect(status).toBe(0);
  expect(about(stdout, "AOF")?.slice(1)).toEqual(["warning", expect.stringContaining("set it to yes")]);
  expect(about(stdout, "eviction")?.[2]).toContain("set it to noeviction or volatile-*");
  expect(about(stdout, "sidecar")?.[2]).toContain("start `vstore serve`");
  await redis.stop();
});

test("a Redis without the module, or none at all, is bad: exit code 1", async () => {
  const redis = await startRedis({ module: false });
  const bare = doctor("--redis-url", redis.url);
  expect(bare.status).toBe(1);
  expect(about(bare.stdout, "Redis")?.[2]).toContain("`vstore module` builds it");
  await redis.stop();
  const none = doctor("--redis-url", redis.url);
  expect(none.status).toBe(1);
  expect(about(none.stdout, "Redis")?.[2]).toContain("cannot be reached");
});
