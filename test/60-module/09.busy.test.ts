import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../harness/redis-server.ts";
import { PlayedSidecar } from "../harness/played-sidecar.ts";
import { RespClient } from "../harness/resp.ts";

const sources = fileURLToPath(new URL("../../redis", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "vstore-busy-"));

let redis: RedisServer;
let sidecar: PlayedSidecar;

/** 100,000 clients are too many for a test: the module is compiled with room for two. */
beforeAll(async () => {
  const module = join(directory, "vstore.so");
  const all = readdirSync(sources, { recursive: true, encoding: "utf8" });
  const files = all.filter((name) => name.endsWith(".c") && name !== "answers/resp3_fuzz.c");
  const flags = ["-std=c11", "-D_GNU_SOURCE", "-I.", "-fPIC", "-shared", "-DPENDING_MAX=2"];
  execFileSync("cc", [...flags, ...files, "-o", module], { cwd: sources });
  redis = await startRedis({ module: false, args: ["--loadmodule", module] });
  sidecar = await PlayedSidecar.attach(redis.port);
  await sidecar.createLog("docs");
});
afterAll(async () => {
  sidecar.close();
  await redis.stop();
  rmSync(directory, { recursive: true, force: true });
});

test("one request more than the limit answers BUSY, and is served when there is room again", async () => {
  const clients = await Promise.all([1, 2, 3].map(() => RespClient.connect(redis.port)));
  const [first, second, third] = clients as [RespClient, RespClient, RespClient];
  first.write("VSTORE.DEL", "docs", "a");
  second.write("VSTORE.DEL", "docs", "a");
  await sidecar.untilPending(2);
  expect(await third.send("VSTORE.DEL", "docs", "a")).toBe(
    "-BUSY 2 requests are waiting for the vstore sidecar already\r\n",
  );
  expect(await sidecar.info("refused_busy")).toBe("1");
  for (let i = 0; i < 2; i++) await sidecar.takeAndAnswer("vstore:{docs}:log", ":1\r\n");
  third.write("VSTORE.DEL", "docs", "a");
  await sidecar.takeAndAnswer("vstore:{docs}:log", ":2\r\n");
  expect(await third.read()).toBe(":2\r\n");
  for (const client of clients) client.close();
});
