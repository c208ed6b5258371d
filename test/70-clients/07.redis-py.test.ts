/** redis-py, Debian's package: the tour is a Python program of its own, clients/redis_py_tour.py. It speaks RESP2. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";

/** Debian's own, as its packages are not seen by any other. */
const python = "/usr/bin/python3";
const program = fileURLToPath(new URL("../clients/redis_py_tour.py", import.meta.url));

let vstore: Vstore;

beforeAll(async () => {
  vstore = await startVstore();
});

afterAll(() => vstore?.stop());

test("redis-py is installed", () => {
  const { status } = spawnSync(python, ["-c", "import redis"]);
  expect(status, `${python} cannot import redis: apt-get install python3-redis, or make test as root`).toBe(
    0,
  );
});

test("takes the tour", () => {
  const { status, stderr } = spawnSync(python, ["-B", program, String(vstore.port)], { encoding: "utf8" });
  expect(stderr).toMatch(/\nRan \d\d tests in [\d.]+s\n\nOK\n$/);
  expect(status).toBe(0);
});
