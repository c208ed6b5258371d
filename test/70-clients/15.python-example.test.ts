/** examples/python/vstore.py: numpy arrays in and out over redis-py, both Debian's packages. */
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

test("the Python example searches, filters, and keeps vectors to the bit", () => {
  const program = path("test/clients/python_example.py");
  const env = { ...process.env, PYTHONPATH: path("examples/python") };
  const { status, stderr } = spawnSync("/usr/bin/python3", ["-B", program, String(vstore.port)], {
    encoding: "utf8",
    env,
  });
  expect(stderr).toMatch(/\nRan 4 tests in [\d.]+s\n\nOK\n$/);
  expect(status).toBe(0);
});
