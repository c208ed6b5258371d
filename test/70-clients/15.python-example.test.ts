/** examples/python/: numpy arrays in and out, and a semantic cache, over redis-py, both Debian's packages. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";

const path = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url));

let vstore: Vstore;

beforeAll(async () => {
  vstore = await startVstore();
});

afterAll(() => vstore?.stop());

/** What a program of test/clients/ says of the files of examples/python/. */
function runProgram(name: string) {
  const env = { ...process.env, PYTHONPATH: path("examples/python") };
  return spawnSync("/usr/bin/python3", ["-B", path(`test/clients/${name}`), String(vstore.port)], {
    encoding: "utf8",
    env,
  });
}

test("the Python example searches, filters, and keeps vectors to the bit", () => {
  const { status, stderr } = runProgram("python_example.py");
  expect(stderr).toMatch(/\nRan 4 tests in [\d.]+s\n\nOK\n$/);
  expect(status).toBe(0);
});

test("the Python cache answers, learns from reports, and deletes", () => {
  const { status, stderr } = runProgram("python_cache.py");
  expect(stderr).toMatch(/\nRan 3 tests in [\d.]+s\n\nOK\n$/);
  expect(status).toBe(0);
});
