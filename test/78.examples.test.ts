/** The README shows programs and what they print: here they are run, and the README is held to it. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startVstore, type Vstore } from "./harness/sidecar.ts";

const run = promisify(execFile);
const root = new URL("..", import.meta.url);
const text = (path: string) => readFileSync(new URL(path, root), "utf8");

let vstore: Vstore;
beforeAll(async () => {
  vstore = await startVstore();
});
afterAll(() => vstore.stop());

test.each([
  ["examples/search.mjs", process.execPath],
  ["examples/search.py", "/usr/bin/python3"],
])("the README shows %s and what it prints", async (path, program) => {
  const { stdout } = await run(program, [path], {
    cwd: root.pathname,
    env: { ...process.env, REDIS_URL: vstore.redis.url },
  });
  expect(text("README.md")).toContain(text(path).trimEnd());
  expect(text("README.md")).toContain(stdout.trimEnd());
});
